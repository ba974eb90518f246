# FG-NET, leave one person out: person 001 tests. Ages begin at 0.
_base_ = './age_224.py'
codec = dict(start=0, stop=69)

train_dataloader = dict(
    dataset=dict(
        type='FGNet',
        ann_file='',
        data_prefix='images',
        where=dict(subject=[f'{person:03d}' for person in range(2, 83)]),
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='FGNet',
        ann_file='',
        data_prefix='images',
        where=dict(subject='001'),
    ),
)
test_dataloader = val_dataloader

# FG-NET, leave one person out: person 001 tests. Ages begin at 0.
_base_ = './age_224.py'
codec = dict(type='GaussianLabelCodec', start=0, stop=69, step=1, sigma=2.0, decode='expectation')
encode = dict(type='EncodeLabelDistribution', codec=codec)
train_pipeline = [*_base_.train_pipeline[:-2], encode, _base_.pack]
test_pipeline = [*_base_.test_pipeline[:-2], encode, _base_.pack]

train_dataloader = dict(
    dataset=dict(
        type='FGNet',
        ann_file='',
        data_prefix='images',
        where=dict(subject=[f'{person:03d}' for person in range(2, 83)]),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='FGNet',
        ann_file='',
        data_prefix='images',
        where=dict(subject='001'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator

# MORPH II, split by `tools/make_splits.py` into a column `fold`; fold 1 tests.
_base_ = './age_224.py'
train_dataloader = dict(
    batch_size=128,
    dataset=dict(
        type='Morph',
        ann_file='morph_2008_nonCommercial_kfold.csv',
        where=dict(fold=[2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ),
)
val_dataloader = dict(
    dataset=dict(type='Morph', ann_file='morph_2008_nonCommercial_kfold.csv', where=dict(fold=1)),
)
test_dataloader = val_dataloader

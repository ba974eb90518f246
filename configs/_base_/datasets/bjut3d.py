# BJUT-3D, five random folds over the images; fold 1 tests. The faces fill the images. The list is
# made by
#   python tools/make_splits.py --reader BJUT3D --value pitch yaw --scheme kfold --folds 5 \
#       --options data_root=data/bjut3d --out data/bjut3d/folds.csv
_base_ = './head_pose_224.py'
codec = dict(
    type='GridLabelCodec',
    axes=('pitch', 'yaw'),
    labels='bjut3d',
    sigma=5.0,
    decode='argmax',
    clip=False,
)
encode = dict(type='EncodeLabelDistribution', codec=codec)
resize = dict(type='Resize', scale=(224, 224))
train_pipeline = [
    _base_.train_pipeline[0], resize, *_base_.train_pipeline[2:-2], encode, _base_.pack,
]  # fmt: skip
test_pipeline = [_base_.test_pipeline[0], resize, encode, _base_.pack]

train_dataloader = dict(
    dataset=dict(
        type='BJUT3D',
        ann_file='folds.csv',
        where=dict(fold=[2, 3, 4, 5]),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(type='BJUT3D', ann_file='folds.csv', where=dict(fold=[1]), pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec, tolerance=())
test_evaluator = val_evaluator

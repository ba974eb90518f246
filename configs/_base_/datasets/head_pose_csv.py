# Your own images, already cropped to the head. The folder holds images/, train.csv and val.csv with
# the columns `file`, `pitch` and `yaw` (degrees: up, to the image's left). The grid is that of AFLW
# in the paper. With boxes (columns x1, y1, x2, y2), CropFaceBox takes the place of Resize.
data_root = '{{$DLDL_DATA_ROOT:data/head_pose}}'
codec = dict(
    type='GridLabelCodec',
    axes=dict(pitch=(-90, 90, 3), yaw=(-90, 90, 3)),
    sigma=3.0,
    decode='expectation',
)
pack = dict(type='PackInputs', algorithm_keys=('gt_value',))
img_size = 64

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(img_size, img_size)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='FlipHeadPose'),
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='EncodeLabelDistribution', codec=codec),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(img_size, img_size)),
    dict(type='EncodeLabelDistribution', codec=codec),
    pack,
]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='HeadPoseDataset',
        data_root=data_root,
        data_prefix='images',
        ann_file='train.csv',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='HeadPoseDataset',
        data_root=data_root,
        data_prefix='images',
        ann_file='val.csv',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='HeadPoseMetric', tolerance=15)
test_evaluator = val_evaluator

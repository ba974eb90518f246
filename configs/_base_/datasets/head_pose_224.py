# Heads at 224 px, cropped by their boxes, on the grid that the paper uses for AFLW. A config names the
# readers and their files.
data_root = '{{$DLDL_DATA_ROOT:data/head_pose}}'
axes = ('pitch', 'yaw')
# Twice the variance in yaw, as in the authors' training script; poses beyond 90° count as 90°.
codec = dict(
    type='GridLabelCodec',
    axes=dict(pitch=(-90, 90, 3), yaw=(-90, 90, 3)),
    sigma=dict(pitch=3.0, yaw=4.243),
    decode='argmax',
    clip=True,
)
pack = dict(type='PackInputs', algorithm_keys=('gt_value', 'subject'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropFaceBox', margin=0.2, size=224, jitter=0.08),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='FlipHeadPose', axes=axes),
    dict(type='EncodeLabelDistribution', codec=codec),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropFaceBox', margin=0.2, size=224),
    dict(type='EncodeLabelDistribution', codec=codec),
    pack,
]

train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(data_root=data_root, axes=axes, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_root=data_root, axes=axes, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='HeadPoseMetric',
    axes=axes,
    codec=codec,
    tolerance=15,
    decode=('expectation', 'marginal_argmax', 'median'),
)
test_evaluator = val_evaluator

# Rendered heads, drawn by the workers; no file is needed. The grid reaches 1.5 steps beyond the poses,
# so that no distribution is cut off and the expectation stays right at the largest angles.
axes = ('pitch', 'yaw', 'roll')
codec = dict(
    type='GridLabelCodec',
    axes=dict(pitch=(-75, 75, 15), yaw=(-105, 105, 15), roll=(-60, 60, 15)),
    sigma=10.0,
    decode='expectation',
)
pack = dict(type='PackInputs', algorithm_keys=('gt_value',))

train_pipeline = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='FlipHeadPose', axes=axes),
    dict(type='EncodeLabelDistribution', codec=codec),
    pack,
]
test_pipeline = [dict(type='EncodeLabelDistribution', codec=codec), pack]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='SyntheticFaces',
        split='train',
        num_samples=3000,
        target='pose',
        axes=axes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SyntheticFaces',
        split='val',
        num_samples=500,
        target='pose',
        axes=axes,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='HeadPoseMetric', axes=axes, codec=codec, tolerance=15)
test_evaluator = val_evaluator

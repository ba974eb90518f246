# Rendered faces, drawn by the workers; no file is needed.
# For the head, which CodecCheckHook shares with pipelines and metric.
codec = dict(type='GaussianLabelCodec', start=1, stop=85, step=1, sigma=3.0, decode='expectation')
pack = dict(type='PackInputs', algorithm_keys=('gt_value', 'gt_sigma'))

train_pipeline = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='EncodeLabelDistribution'),
    pack,
]
test_pipeline = [dict(type='EncodeLabelDistribution'), pack]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='SyntheticFaces', split='train', num_samples=2000, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SyntheticFaces', split='val', num_samples=500, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='AgeMetric', decode=('median', 'argmax'))
test_evaluator = val_evaluator

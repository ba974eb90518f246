# Drawn scenes of eight classes, drawn by the workers; no file is needed. The codec stands in the head
# alone: CodecCheckHook shares it.
pack = dict(type='PackInputs', algorithm_keys=('gt_label_difficult',))

train_pipeline = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='EncodeLabelDistribution'),
    pack,
]
# The targets stay out: multi-label metrics take `gt_score` for the ground truth's zeros and ones.
test_pipeline = [pack]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='SyntheticScenes',
        split='train',
        num_samples=4000,
        img_size=64,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SyntheticScenes', split='val', num_samples=500, img_size=64, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='VOCMeanAveragePrecision'),
    dict(type='VOCAveragePrecision'),
]
test_evaluator = val_evaluator

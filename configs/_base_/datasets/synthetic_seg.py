# Drawn scenes of eight classes and background, drawn by the workers; no file is needed.
train_pipeline = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='SyntheticScenes',
        target='segmentation',
        split='train',
        num_samples=6000,
        img_size=64,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SyntheticScenes',
        target='segmentation',
        split='val',
        num_samples=300,
        img_size=64,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

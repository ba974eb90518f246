# ResNet-18 with half the channels: trains from scratch on a CPU.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, stem_channels=32, base_channels=32, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LabelDistributionHead',
        in_channels=256,
        losses=[dict(type='LabelDistributionKLLoss')],
    ),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)

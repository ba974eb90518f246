# ResNet-18 with a 3x3 stem and half the channels: four times the cost of resnet18_narrow.py, and better
# on images of 64 px, since the first stage sees them at half size instead of a quarter.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet_CIFAR',
        depth=18,
        stem_channels=32,
        base_channels=32,
        strides=(2, 2, 2, 2),
        out_indices=(3,),
    ),
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

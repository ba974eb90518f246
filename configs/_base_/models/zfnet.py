# The network of Gao et al. (TIP 2017), from scratch; RGB less its mean, not divided.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ZFNet', input_size=224),
    head=dict(
        type='LabelDistributionHead',
        in_channels=4096,
        losses=[dict(type='LabelDistributionKLLoss')],
    ),
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[1.0, 1.0, 1.0], to_rgb=True),
)

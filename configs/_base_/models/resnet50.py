_base_ = 'mmpretrain::_base_/models/resnet50.py'
model = dict(
    head=dict(
        _delete_=True,
        type='LabelDistributionHead',
        in_channels=2048,
        losses=[dict(type='LabelDistributionKLLoss')],
    ),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)

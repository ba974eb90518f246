# A plain network for heads of 64 px. The 4x4 map is not averaged but flattened: where something is in
# the crop tells the pose.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='PlainConvNet', channels=(16, 32, 64, 128)),
    neck=dict(
        type='LinearNeck', in_channels=128 * 4 * 4, out_channels=256, act_cfg=dict(type='ReLU')
    ),
    head=dict(
        type='LabelDistributionHead',
        in_channels=256,
        losses=[dict(type='LabelDistributionKLLoss')],
    ),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)

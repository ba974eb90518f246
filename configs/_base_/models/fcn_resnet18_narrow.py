# FCN head on all stages of a ResNet-18 with a quarter of the channels: trains from scratch on a CPU.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=[16, 32, 64, 128],
        in_index=(0, 1, 2, 3),
        input_transform='resize_concat',
        channels=64,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=9,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='NeighbourhoodKLLoss'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# FCN-32s on VGG-16, whose fully connected layers become convolutions. Needs mmpretrain too.
checkpoint = (
    'https://download.openmmlab.com/mmclassification/v0/vgg/'
    'vgg16_batch256_imagenet_20210208-db26f1a5.pth'
)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(384, 384),
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        out_indices=(2, 3, 4),
        with_last_pool=True,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    ),
    decode_head=dict(
        type='FCNSkipHead',
        in_channels=[512],
        in_index=[2],
        num_classes=21,
        classifier_init=dict(
            type='Pretrained', checkpoint=checkpoint, prefix='backbone.classifier.'
        ),
        # The authors' void pixels next to labelled ones have their distribution, and each image's
        # loss is divided by its number of pixels.
        loss_decode=dict(type='NeighbourhoodKLLoss', void='assign', reduction='image_mean'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

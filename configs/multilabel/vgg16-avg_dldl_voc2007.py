# IF-DLDL as the authors train it: VGG-16 from ImageNet, global average pooling in the place of its
# fifth pooling, 256 px crops of images enlarged by up to 2.
_base_ = [
    '../_base_/datasets/voc2007.py',
    '../_base_/schedules/sgd_logspace_multilabel.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VGG',
        depth=16,
        with_last_pool=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/vgg/'
            'vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='MultiLabelDistributionHead',
        codec=dict(type='MultiLabelCodec', num_classes=20, p_difficult=0.3, epsilon=0.01),
        in_channels=512,
        losses=[dict(type='LabelDistributionKLLoss')],
    ),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)
crop = dict(
    type='RandomResizedCrop', scale=256, crop_ratio_range=(0.25, 1.0), aspect_ratio_range=(1.0, 1.0)
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.train_pipeline[0],
            crop,
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            *_base_.train_pipeline[-2:],
        ]
    )
)
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(256, 256)), _base_.pack]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

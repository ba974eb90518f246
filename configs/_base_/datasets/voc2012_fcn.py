# PASCAL VOC 2012 with the additional annotations of SBD, in the authors' augmentation: 384 px crops,
# a scale jitter of 10% and a flip.
_base_ = 'mmseg::_base_/datasets/pascal_voc12_aug.py'
data_root = '{{$DLDL_DATA_ROOT:data/VOCdevkit/VOC2012}}'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(500, 500), ratio_range=(0.9, 1.1), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(384, 384)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
own = dict(data_root=data_root, pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=20,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(datasets=[dict(_base_.dataset_train, **own), dict(_base_.dataset_aug, **own)]),
)
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

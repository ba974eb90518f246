# Aligned and cropped face chips of 200 px, seen at 64 px. The folder holds images/, train.csv and
# val.csv (column `file`); tools/make_splits.py makes such files. The codec stands in the head alone:
# CodecCheckHook shares it.
data_root = '{{$DLDL_DATA_ROOT:data/utkface}}'
pack = dict(type='PackInputs', algorithm_keys=('gt_value', 'gt_sigma'))
img_size = 64

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=img_size,
        crop_ratio_range=(0.75, 1.0),
        aspect_ratio_range=(0.9, 1.1),
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.2, contrast=0.2, saturation=0.2),
    dict(type='EncodeLabelDistribution'),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CenterCrop', crop_size=180),
    dict(type='Resize', scale=(img_size, img_size)),
    dict(type='EncodeLabelDistribution'),
    pack,
]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='UTKFace',
        data_root=data_root,
        data_prefix='images',
        ann_file='train.csv',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='UTKFace',
        data_root=data_root,
        data_prefix='images',
        ann_file='val.csv',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='AgeMetric', decode=('expectation', 'median', 'argmax'))
test_evaluator = val_evaluator

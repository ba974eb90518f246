# PASCAL VOC 2007, whole images seen at 64 px. The folder holds JPEGImages/, Annotations/ and
# ImageSets/Main/. Trained on the training set and watched on the validation set; the benchmark
# trains on `trainval` and tests on `test`. The codec stands in the head alone: CodecCheckHook shares it.
data_root = '{{$DLDL_DATA_ROOT:data/VOC2007}}'
pack = dict(type='PackInputs', algorithm_keys=('gt_label_difficult',))
img_size = 64

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=img_size, crop_ratio_range=(0.4, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='EncodeLabelDistribution'),
    pack,
]
# The targets stay out: multi-label metrics take `gt_score` for the ground truth's zeros and ones.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(img_size, img_size)),
    pack,
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='VOCMultiLabel', data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='VOCMultiLabel', data_root=data_root, split='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='VOCMeanAveragePrecision', classwise=True),
    dict(type='VOCAveragePrecision'),
]
test_evaluator = val_evaluator

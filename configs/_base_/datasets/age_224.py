# Face images at 224 px, for any annotated set: a config names the reader and its files.
data_root = '{{$DLDL_DATA_ROOT:data/age}}'
# For the head, which CodecCheckHook shares with pipelines and metric.
codec = dict(type='GaussianLabelCodec', start=1, stop=85, step=1, sigma=2.0, decode='expectation')
pack = dict(type='PackInputs', algorithm_keys=('gt_value', 'gt_sigma', 'subject'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.7, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='EncodeLabelDistribution'),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='EncodeLabelDistribution'),
    pack,
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='AgeDataset', ann_file='train.csv', data_root=data_root, pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='AgeDataset', ann_file='val.csv', data_root=data_root, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='AgeMetric', decode=('median', 'argmax'))
test_evaluator = val_evaluator

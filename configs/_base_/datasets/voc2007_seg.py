# PASCAL VOC 2007 with its own layout: JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/.
# Trained on train, tested on val. Seen with its longer side at 160 px, in crops of 128 px;
# predictions are evaluated in full size.
_base_ = 'mmseg::_base_/datasets/pascal_voc12.py'
data_root = '{{$DLDL_DATA_ROOT:data/VOCdevkit/VOC2007}}'
scale = (160, 160)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(0.8, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),  # after resizing: evaluated in full size
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=2, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

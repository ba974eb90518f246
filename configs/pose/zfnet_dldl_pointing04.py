# The paper's network and schedule: 224 px, batches of 32.
_base_ = [
    '../_base_/models/zfnet.py',
    '../_base_/datasets/pointing04.py',
    '../_base_/schedules/dldl_zfnet.py',
    '../_base_/default_runtime.py',
]

load, _, *augment = _base_.train_pipeline
crop = dict(type='CropFaceBox', margin=0.2, size=224)
train_pipeline = [load, dict(crop, jitter=0.05), *augment]
test_pipeline = [load, crop, *_base_.test_pipeline[2:]]

model = dict(head=dict(codec=_base_.codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

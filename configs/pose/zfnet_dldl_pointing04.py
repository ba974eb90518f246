# The paper's network, schedule, deviation and decoding: 224 px, batches of 32.
_base_ = [
    '../_base_/models/zfnet.py',
    '../_base_/datasets/pointing04.py',
    '../_base_/schedules/dldl_zfnet.py',
    '../_base_/default_runtime.py',
]

codec = dict(_base_.codec, sigma=15.0, decode='argmax')
encode = dict(type='EncodeLabelDistribution', codec=codec)
load, _, *augment = _base_.train_pipeline[:-2]
crop = dict(type='CropFaceBox', margin=0.2, size=224)
train_pipeline = [load, dict(crop, jitter=0.05), *augment, encode, _base_.pack]
test_pipeline = [load, crop, encode, _base_.pack]

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator

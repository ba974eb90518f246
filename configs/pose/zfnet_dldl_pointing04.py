# The paper's network, schedule, deviation and decoding: 224 px, batches of 32.
_base_ = [
    '../_base_/models/zfnet.py',
    '../_base_/datasets/pointing04.py',
    '../_base_/schedules/dldl_zfnet.py',
    '../_base_/default_runtime.py',
]

codec = dict(_base_.codec, sigma=15.0, decode='argmax')
encode = dict(type='EncodeLabelDistribution', codec=codec)
crop = dict(type='CropFaceBox', margin=0.2, size=224)
rotate, _, colour = _base_.augment
train_pipeline = [
    *(_base_.load, dict(crop, jitter=0.05), rotate, colour),
    *(encode, _base_.pack),
]
test_pipeline = [_base_.load, crop, encode, _base_.pack]
views = [[dict(crop, shift=shift) for shift in _base_.shifts], [_base_.pack]]
tta_pipeline = [_base_.load, dict(type='TestTimeAug', transforms=views)]

model = dict(head=dict(codec=codec))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(codec=codec)
test_evaluator = val_evaluator

# The recipe of zfnet_dldl_pointing04.py on 128 px, which is what the faces of Pointing'04 measure about:
# a third of its time. The first fully connected layer is smaller.
_base_ = ['zfnet_dldl_pointing04.py']

crop = dict(type='CropFaceBox', margin=0.2, size=128)
train_pipeline = [
    *(_base_.load, dict(crop, jitter=0.05), _base_.rotate, _base_.colour),
    *(_base_.encode, _base_.pack),
]
test_pipeline = [_base_.load, crop, _base_.encode, _base_.pack]
views = [[dict(crop, shift=shift) for shift in _base_.shifts], [_base_.pack]]
tta_pipeline = [_base_.load, dict(type='TestTimeAug', transforms=views)]

model = dict(backbone=dict(input_size=128))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# The best figures on Pointing'04: twice the channels of convnet_dldl_pointing04.py, mirrored heads in
# training and among the views of the test, and 80 epochs, which these need.
_base_ = ['convnet_dldl_pointing04.py']

model = dict(
    backbone=dict(channels=(32, 64, 128, 256)),
    neck=dict(in_channels=256 * 4 * 4),
)
mirror = [dict(type='RandomFlip', prob=0.5, direction='horizontal'), dict(type='FlipHeadPose')]
train_pipeline = [*_base_.train_pipeline[:-2], *mirror, *_base_.train_pipeline[-2:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
views = [*_base_.views[:-1], flips, [dict(type='FlipHeadPose')], _base_.views[-1]]
tta_pipeline = [_base_.load, dict(type='TestTimeAug', transforms=views)]

max_epochs = 80
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
param_scheduler = dict(total_steps=max_epochs)

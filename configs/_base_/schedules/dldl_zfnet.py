# The schedule of Gao et al. (TIP 2017) for ZF-Net: the first 20 of 60 rates from logspace(-2, -4).
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
param_scheduler = dict(type='ExponentialLR', gamma=10 ** (-2 / 59), by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()

# The shared recipe; every other resnet18_*_utkface.py changes the target, the losses or the head alone.
_base_ = [
    '../_base_/models/resnet18_cifar_narrow.py',
    '../_base_/datasets/utkface.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(
        codec=dict(
            type='GaussianLabelCodec', start=1, stop=116, step=1, sigma=3.0, decode='expectation'
        )
    )
)

max_epochs = 20
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = dict(total_steps=max_epochs)

# Age estimation by Deep Label Distribution Learning, on rendered faces: trains as it stands.
_base_ = [
    '_base_/models/resnet18_narrow.py',
    '_base_/datasets/synthetic_age.py',
    '_base_/schedules/adamw_onecycle.py',
    '_base_/default_runtime.py',
]

model = dict(head=dict(codec=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='age/mae', rule='less'))
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = dict(total_steps=max_epochs)

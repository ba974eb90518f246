# IF-DLDL from scratch: a small network, for comparisons with equal budgets.
_base_ = [
    '../_base_/models/resnet18_narrow.py',
    '../_base_/datasets/voc2007.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(type='MultiLabelDistributionHead', codec=_base_.codec))
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = dict(total_steps=max_epochs)

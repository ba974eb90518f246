# IF-DLDL from scratch: a small network, for comparisons with equal budgets.
_base_ = [
    '../_base_/models/resnet18_narrow.py',
    '../_base_/datasets/voc2007.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

codec = dict(type='MultiLabelCodec', num_classes=20, p_difficult=0.3, epsilon=0.01)
model = dict(head=dict(type='MultiLabelDistributionHead', codec=codec))
max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = dict(total_steps=max_epochs)

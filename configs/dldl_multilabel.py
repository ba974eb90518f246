# Multi-label classification by Deep Label Distribution Learning, on drawn scenes: trains as it stands.
_base_ = [
    '_base_/models/resnet18_narrow.py',
    '_base_/datasets/synthetic_multilabel.py',
    '_base_/schedules/adamw_onecycle.py',
    '_base_/default_runtime.py',
]

codec = dict(type='MultiLabelCodec', num_classes=8, p_difficult=0.3, epsilon=0.01)
model = dict(head=dict(type='MultiLabelDistributionHead', codec=codec))
default_hooks = dict(checkpoint=dict(save_best='voc/mAP_all', rule='greater'))
max_epochs = 10
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = dict(total_steps=max_epochs)

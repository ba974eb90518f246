_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/datasets/biwi.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(codec=_base_.codec))

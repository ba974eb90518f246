_base_ = [
    '../_base_/models/swin-tiny.py',
    '../_base_/datasets/morph.py',
    '../_base_/schedules/adamw_onecycle.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(codec=_base_.codec))
# Mixup and CutMix of the base config act on the distributions.
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))

# A small network from scratch, for comparisons with equal budgets.
_base_ = [
    '../_base_/models/fcn_resnet18_narrow.py',
    '../_base_/datasets/voc2007_seg.py',
    '../_base_/schedules/adamw_poly_iters.py',
    '../_base_/default_runtime_seg.py',
]

model = dict(decode_head=dict(num_classes=21))
max_iters = 300
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=50, end=max_iters),
]
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator

# A small network from scratch, for comparisons with equal budgets.
_base_ = [
    '../_base_/models/fcn_resnet18_narrow.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/adamw_poly_iters.py',
    '../_base_/default_runtime_seg.py',
]

model = dict(
    backbone=dict(stem_channels=16, base_channels=16),
    decode_head=dict(in_channels=[16, 32, 64, 128], channels=64, num_classes=11),
)
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator

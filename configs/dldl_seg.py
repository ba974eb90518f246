# Segmentation by Deep Label Distribution Learning, on drawn scenes: trains as it stands.
_base_ = [
    '_base_/models/fcn_resnet18_narrow.py',
    '_base_/datasets/synthetic_seg.py',
    '_base_/schedules/adamw_poly_iters.py',
    '_base_/default_runtime_seg.py',
]

optim_wrapper = dict(optimizer=dict(lr=4e-3))
default_hooks = dict(checkpoint=dict(save_best='mIoU', rule='greater'))
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator

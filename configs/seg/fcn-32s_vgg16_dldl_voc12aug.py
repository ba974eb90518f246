# The authors' segmentation network, first of three stages: 32s, then 16s, then 8s.
_base_ = [
    '../_base_/models/fcn_vgg16.py',
    '../_base_/datasets/voc2012_fcn.py',
    '../_base_/schedules/dldl_fcn.py',
    '../_base_/default_runtime_seg.py',
]

custom_imports = dict(imports=['dldl_mm.seg', 'mmpretrain.models'])
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True, interval=5)
)
log_processor = dict(by_epoch=True)
val_evaluator = _base_.evaluator
test_evaluator = _base_.evaluator

# What this package adds to a config of mmsegmentation.
custom_imports = dict(imports=['dldl_mm.seg'], allow_failed_imports=False)
custom_hooks = [
    dict(type='LabelMapCheckHook'),
    dict(type='LabelDistributionVisualizationHook', num_samples=4),
]
# For `val_evaluator` and `test_evaluator`.
evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='FrequencyWeightedIoU'),
    dict(type='TrimapIoU'),
    dict(type='PixelCalibrationError'),
]

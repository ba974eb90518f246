# What mmsegmentation's own configs end with, and what this package adds.
_base_ = 'mmseg::_base_/default_runtime.py'
custom_imports = dict(imports=['dldl_mm.seg'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [dict(type='LabelDistributionVisualizationHook')]
randomness = dict(seed=0, deterministic=False)

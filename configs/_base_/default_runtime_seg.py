# mmsegmentation's default runtime, with this package's additions.
_base_ = ['mmseg::_base_/default_runtime.py', './dldl_seg.py']

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
randomness = dict(seed=0, deterministic=False)

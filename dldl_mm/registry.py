"""The registries that dldl_mm registers its components in.

They are mmengine's root registries: a component registered here once builds by its plain name from
mmpretrain and from mmsegmentation alike, also when it is nested in another component's config.
"""

from mmengine.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    TASK_UTILS,
    TRANSFORMS,
    VISUALIZERS,
)

__all__ = [
    'DATASETS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISUALIZERS',
]

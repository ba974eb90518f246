"""A stand-in for mmcv's compiled operators, for the time of an import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn

_NAME = 'mmcv._ext'


@contextmanager
def compiled_ops_stand_in() -> Iterator[None]:
    """Let modules that name mmcv's compiled operators be imported beside mmcv-lite.

    mmsegmentation imports ``mmcv.ops``, which needs ``mmcv._ext``, although few of its models call an
    operator of it. Within this context a stand-in takes the place of the missing module; afterwards it
    is gone, because mmengine looks for the module to tell a full mmcv from mmcv-lite. An operator that
    is called anyway raises an ``ImportError`` that names mmcv. Where ``mmcv._ext`` is installed,
    nothing is done.
    """
    if _NAME in sys.modules or importlib.util.find_spec(_NAME) is not None:
        yield
        return
    sys.modules[_NAME] = stand_in = _MissingOps(_NAME)
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is stand_in:
            del sys.modules[_NAME]
        # The import system also hangs a submodule on its package.
        package = vars(sys.modules['mmcv'])
        if package.get('_ext') is stand_in:
            del package['_ext']


class _MissingOps(ModuleType):
    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> NoReturn:
            raise ImportError(
                f"{name} is one of mmcv's compiled operators, which mmcv-lite does not have: "
                'install mmcv in its place (https://mmcv.readthedocs.io), or choose a model without it'
            )

        return missing

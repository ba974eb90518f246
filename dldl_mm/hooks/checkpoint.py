"""Checkpoints that load with ``weights_only`` and survive a crash."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.model import is_model_wrapper
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import Runner
from torch import nn

from dldl_mm.registry import HOOKS


def allow_runner_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read what mmengine's runner itself writes.

    The message hub of a checkpoint holds ``HistoryBuffer`` objects, these hold NumPy arrays and
    scalars, and the state of a one-cycle schedule names its annealing function. They are plain data:
    unpickling them runs no code of the file. Nothing else is allowed; a checkpoint that names any other
    global is refused by torch, with a message that names it.
    """
    if not hasattr(torch.serialization, 'add_safe_globals'):
        return  # before torch 2.4, whose default is weights_only=False
    # NumPy 2 moved both functions; a file names the module of the NumPy that wrote it.
    functions = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    renamed = [
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for function in functions
        for core in ('core', '_core')
    ]
    scalar_types = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    torch.serialization.add_safe_globals(
        [
            *(np.ndarray, np.dtype, *scalar_types, *renamed, *_METHODS),
            (_named_method, 'builtins.getattr'),
        ]
    )


_METHODS = {
    HistoryBuffer: ('mean', 'max', 'min', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}


def _named_method(owner: Any, name: str) -> Callable[..., Any]:
    """Stand in for ``getattr``, by which pickle names a method of a class, for these few methods."""
    if name in _METHODS.get(owner, ()):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'Unsupported global: GLOBAL getattr of {owner!r}, {name!r}')


def check_checkpoint_file(path: str | Path) -> None:
    """Refuse a file that is missing, damaged or no checkpoint, before anything else is read.

    Args:
        path: A local file.

    Raises:
        FileNotFoundError: There is no such file.
        pickle.UnpicklingError: It names a global that is not allowed.
        ValueError: It is damaged, or not a checkpoint.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        start = file.read(2)
    if start not in (b'PK', b'\x80\x02'):  # torch's archives, and its format before version 1.6
        raise ValueError(f'{path} is damaged or not a checkpoint')
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if 'GLOBAL' in str(error):
            raise
        raise ValueError(f'{path} is damaged or not a checkpoint') from None
    except (RuntimeError, EOFError, LookupError, AttributeError, ValueError, TypeError) as error:
        reason = str(error).partition('\n')[0].partition('. ')[0]
        raise ValueError(f'{path} is damaged or not a checkpoint: {reason}') from None
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} is not a checkpoint: it holds one {type(checkpoint).__name__}')


def require_parameters(model: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Refuse a checkpoint that does not hold every parameter of a model.

    mmengine only logs what it could not load, and goes on with random numbers.

    Args:
        model: The model, which loads the checkpoint.
        checkpoint: What the file holds.

    Raises:
        ValueError: Names parameters that are missing, or of another shape.
    """
    state = checkpoint.get('state_dict', checkpoint)
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    parameters = dict(model.named_parameters())
    try:
        absent = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:  # torch's list of the parameters of another shape
        reasons = [line.strip() for line in str(error).splitlines()[1:]]
        raise ValueError(
            f'the checkpoint is of another model ({len(reasons)} entries differ): {reasons[0]}'
        ) from None
    missing = [name for name in absent if name in parameters]
    if missing:
        more = f' and {len(missing) - 3} more' if len(missing) > 3 else ''
        raise ValueError(
            f'the checkpoint is of another model: it lacks {len(missing)} of {len(parameters)} '
            f'parameters, {", ".join(missing[:3])}{more}'
        )


class WholeCheckpointHook(Hook):
    """Applies :func:`require_parameters` to what a runner tests, or resumes."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the checkpoint with the model before it is loaded."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        require_parameters(model, checkpoint)


@register_backend('atomic_local')
class AtomicLocalBackend(LocalBackend):
    """Local files that appear whole or not at all: written beside their name, then moved onto it."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file."""
        partial = f'{filepath}.{os.getpid()}.partial'
        try:
            super().put(obj, partial)
            os.replace(partial, filepath)
        finally:
            Path(partial).unlink(missing_ok=True)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, except that a kill at any moment leaves a whole checkpoint.

    mmengine removes outdated checkpoints before it writes the new one, and writes in place. Here a
    local checkpoint is moved onto its name when it is complete, and outdated ones are removed after
    that. The arguments are those of ``CheckpointHook``.
    """

    max_keep_ckpts: float
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(
        self, *args: Any, backend_args: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        backend_args = backend_args or dict(backend='atomic_local')
        super().__init__(*args, backend_args=backend_args, **kwargs)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated = None
        limit = self.max_keep_ckpts
        if limit > 0 and len(self.keep_ckpt_ids) == limit and self.keep_ckpt_ids[-1] != step:
            outdated = self.filename_tmpl.format(self.keep_ckpt_ids[0])
        # The bounded deque forgets the oldest step by itself; without a limit nothing is removed yet.
        self.max_keep_ckpts = math.inf if limit > 0 else limit
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self.max_keep_ckpts = limit
        if outdated is not None:
            self._remove(self.file_backend.join_path(self.out_dir, outdated))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        single = hasattr(self, 'best_ckpt_path')
        before = {'': self.best_ckpt_path} if single else dict(self.best_ckpt_path_dict)
        # Hidden from mmengine, which would remove the old file first.
        if single:
            self.best_ckpt_path = None
        else:
            self.best_ckpt_path_dict = dict.fromkeys(before)
        super()._save_best_checkpoint(runner, metrics)
        after = {'': self.best_ckpt_path} if single else self.best_ckpt_path_dict
        for name, old in before.items():
            if after[name] is None:
                after[name] = old
            elif old is not None and old != after[name]:
                self._remove(old)
        if single:
            self.best_ckpt_path = after['']

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


def find_resumable_checkpoint(work_dir: str | Path) -> Path | None:
    """Newest checkpoint of a work directory.

    The file ``last_checkpoint`` names it; where a kill left that file empty, or the directory was moved
    since, the ``epoch_*.pth`` or ``iter_*.pth`` with the highest number counts.

    Args:
        work_dir: The work directory of the training that was cut off.

    Returns:
        The checkpoint's path, or None if there is none.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        named = pointer.read_text().strip()
        if named and Path(named).is_file():
            return Path(named)
    numbered = [
        (int(path.stem.rpartition('_')[2]), path)
        for pattern in ('epoch_*.pth', 'iter_*.pth')
        for path in work_dir.glob(pattern)
        if path.stem.rpartition('_')[2].isdigit()
    ]
    return max(numbered)[1] if numbered else None


allow_runner_globals()

"""What the command line tools share: config arguments, and mistakes that end in one message."""

from __future__ import annotations

import argparse
import atexit
import copy
import difflib
import gc
import inspect
import logging
import os
import pickle
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

_MISTAKES = (
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError, SyntaxError),
    *(NameError, ArithmeticError, RuntimeError, EOFError, OSError, pickle.UnpicklingError),
)
# The top level of a config as the runner reads it; everything else there is a variable of the file.
_SETTINGS = {
    *inspect.signature(Runner.__init__).parameters,
    *('custom_imports', 'sync_bn', 'find_unused_parameters', 'model_wrapper_cfg', 'compile'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'tta_model', 'tta_pipeline'),
} - {'self', 'cfg'}


class KeyValueAction(DictAction):
    """mmengine's ``KEY=VALUE`` arguments; one without ``=`` ends in a message."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Parse the values of one option."""
        for text in values:
            if '=' not in text:
                parser.error(f'{option_string}: expected KEY=VALUE, got {text!r}')
        super().__call__(parser, namespace, values, option_string)


def add_config_arguments(
    parser: argparse.ArgumentParser, name: str = 'config', description: str = 'config file'
) -> None:
    """Add the arguments of every tool that reads a config."""
    parser.add_argument(name, help=description)
    parser.add_argument(
        '--data-root',
        help='folder of the data set, for all splits (the same as setting DLDL_DATA_ROOT)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValueAction,
        metavar='KEY=VALUE',
        help='override settings of the config, for example train_cfg.max_epochs=5',
    )


def load_config(args: argparse.Namespace) -> Config:
    """Read the config that the arguments name, with their overrides.

    Args:
        args: Parsed arguments of :func:`add_config_arguments`.

    Returns:
        The config.

    Raises:
        FileNotFoundError: There is no such config file or data folder.
    """
    set_data_root(args)
    return read_config(args.config, args.cfg_options)


def set_data_root(args: argparse.Namespace) -> None:
    """Make configs that are read from now on take their data from ``--data-root``.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if args.data_root is not None:
        if not Path(args.data_root).is_dir():
            raise FileNotFoundError(f'--data-root: there is no folder {args.data_root}')
        # Configs read it when they are parsed, so that one setting reaches every split.
        os.environ['DLDL_DATA_ROOT'] = str(args.data_root)


def read_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and override settings of it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or an option would have no effect.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no config file {path}')
    logger = MMLogger.get_current_instance()
    level = logger.level
    # mmengine announces every environment variable that a config reads, each time anew.
    logger.setLevel(max(level, logging.WARNING))
    try:
        cfg = Config.fromfile(path)
    except _MISTAKES as error:
        kind = '' if type(error) in (ValueError, OSError) else f'{type(error).__name__}: '
        raise ValueError(f'{path}: {kind}{error}') from error
    finally:
        logger.setLevel(level)
    if options:
        _check_options(options)
        # Merging takes `_delete_` out of what it is given.
        cfg.merge_from_dict(copy.deepcopy(dict(options)))
    return cfg


def _check_options(options: Mapping[str, Any]) -> None:
    for option in options:
        name = option.partition('.')[0]
        if name not in _SETTINGS:
            close = difflib.get_close_matches(name, _SETTINGS, 1)
            hint = f'; did you mean {close[0]}?' if close else ''
            raise ValueError(
                f'{option}: {name} is no setting of a runner{hint}. Variables of a config file are '
                'copied to where they are used when it is read: override them there, such as '
                'model.head.codec.sigma; --data-root names the folder of the data'
            )


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tools that start a runner, under mmpretrain's names."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def make_writable_folder(option: str, folder: str | Path) -> None:
    """Make a folder, so that a place that cannot be written to is found before the work.

    Args:
        option: What names it on the command line, for the message.
        folder: The folder.

    Raises:
        ValueError: It cannot be made, or not be written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f'{option}: cannot make the folder {folder}: {error.strerror}') from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f'{option}: the folder {folder} is not writable')


def prepare_runner(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the arguments of :func:`add_runner_arguments`, except ``--amp``, to a config.

    The start-up check of codecs is added to configs that do not have it, such as mmpretrain's own.

    Raises:
        ValueError: The config has no model, or nothing can be written to the work directory.
    """
    if cfg.get('model') is None:
        raise ValueError(f'{args.config} has no model')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg.launcher = args.launcher
    if args.launcher == 'pytorch':
        if 'RANK' not in os.environ:
            raise ValueError(
                '--launcher pytorch: start the tool by torchrun, as tools/dist_*.sh do'
            )
        if get_device() == 'cpu':
            _distribute_on_cpu(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    make_writable_folder('--work-dir', cfg.work_dir)
    hooks = cfg.get('custom_hooks') or []
    if not any(hook['type'] == 'CodecCheckHook' for hook in hooks):
        cfg.custom_hooks = [*hooks, dict(type='CodecCheckHook')]


def _distribute_on_cpu(cfg: Config) -> None:
    # mmengine's own launcher asks for a GPU; it leaves a group of processes that exists as it is.
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
        atexit.register(_end_group)
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def _end_group() -> None:
    # A thread of gloo that lets go of a tensor while the interpreter ends aborts the process. The group
    # and its threads end once nothing refers to it: the runner and its wrapped model, which refer to
    # each other, have to be collected first.
    gc.collect()
    torch.distributed.destroy_process_group()


class UserErrors(Hook):
    """Turns a user's mistake into one readable message and exit code 2.

    A context manager around all that happens before the work starts: errors of a config, data set or
    checkpoint lose their traceback. Registered as a hook in a runner, it steps aside once training,
    validation or testing has begun, where an exception is not the user's. The traceback is shown with
    the environment variable ``DLDL_TRACEBACK=1``.
    """

    def __init__(self) -> None:
        self.started = False

    def before_train(self, runner: object) -> None:
        """Note that everything was read and built."""
        self.started = True

    before_val = before_test = before_train

    def __enter__(self) -> UserErrors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started or not isinstance(error, _MISTAKES):
            return
        if os.environ.get('DLDL_TRACEBACK') == '1':
            traceback.print_exception(error)
        print(f'error: {_readable(error)}', file=sys.stderr, flush=True)
        sys.exit(2)


def _readable(error: BaseException) -> str:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, KeyError) and ' ' not in message:
        message = f'{message!r} is missing'
    if isinstance(error, pickle.UnpicklingError):
        foreign = re.search(r'GLOBAL (\S+)', message)
        if foreign:
            return (
                f'the checkpoint names the global {foreign[1]}, which is not part of a model or of '
                'what the runner stores: it is refused, because loading it could run any code'
            )
        return 'the checkpoint is damaged or not a checkpoint: ' + message.splitlines()[0]
    if not message or isinstance(error, (AttributeError, ImportError, SyntaxError, RuntimeError)):
        message = f'{type(error).__name__}: {message}'
    # mmengine puts one such prefix before the message for each level of nested components.
    prefix = r'class `(\w+)` in [\w./-]+: '
    names = re.findall(prefix, message)
    message = re.sub(prefix, '', message)
    if names and names[-1] not in message:
        message = f'{names[-1]}: {message}'
    return message

#!/usr/bin/env python
"""Train a model: ``python tools/train.py CONFIG``."""

import argparse

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from dldl_mm.cli import (
    UserErrors,
    add_config_arguments,
    add_runner_arguments,
    load_config,
    prepare_runner,
)
from dldl_mm.hooks import WholeCheckpointHook, check_checkpoint_file, find_resumable_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a model')
    add_config_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from this checkpoint, or from the newest one of the work directory',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument('--seed', type=int, help='seed of the run')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by the batch size'
    )
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Apply the arguments to the config.

    Raises:
        FileNotFoundError: There is no checkpoint to resume from.
        ValueError: The checkpoint is damaged, or an argument does not fit the config or the machine.
    """
    prepare_runner(cfg, args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.seed is not None:
        cfg.randomness = ConfigDict(cfg.get('randomness') or {}, seed=args.seed)
    if args.amp:
        wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
        if wrapper not in ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper'):
            raise ValueError(f'--amp: expected optim_wrapper.type OptimWrapper, got {wrapper}')
        if torch.cuda.is_available():
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        else:
            cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        checkpoint = args.resume
        if checkpoint == 'auto':
            checkpoint = find_resumable_checkpoint(cfg.work_dir)
        # An interrupted job that had not saved yet starts anew, as in mmpretrain.
        cfg.resume = checkpoint is not None
        if checkpoint is not None:
            cfg.load_from = str(checkpoint)
    if cfg.get('load_from') and '://' not in cfg.load_from:
        check_checkpoint_file(cfg.load_from)
    return cfg


def main() -> None:
    """Build a runner and train; a mistake in the input ends before training starts."""
    args = parse_args()
    with UserErrors() as guard:
        cfg = merge_args(load_config(args), args)
        runner = Runner.from_cfg(cfg)
        if cfg.get('resume'):
            runner.register_hook(WholeCheckpointHook())
        runner.register_hook(guard)
        runner.train()


if __name__ == '__main__':
    main()

#!/usr/bin/env python
"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import json
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from dldl_mm.cli import (
    UserErrors,
    add_config_arguments,
    add_runner_arguments,
    load_config,
    make_writable_folder,
    prepare_runner,
)
from dldl_mm.hooks import WholeCheckpointHook, check_checkpoint_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint')
    add_config_arguments(parser)
    add_runner_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out',
        nargs='+',
        default=[],
        help='files for the predictions (.jsonl), the metrics (.json)',
    )
    parser.add_argument(
        '--average-with',
        nargs=2,
        action='append',
        default=[],
        metavar=('CONFIG', 'CHECKPOINT'),
        help='evaluate the average of the probabilities with this model too; may be repeated. Data '
        'and metrics are those of the first config, the overrides of --cfg-options too',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="average over several views of each image, by the config's tta_model and tta_pipeline",
    )
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Apply the arguments to the config.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: A checkpoint is damaged, the config has no test data or no views for ``--tta``, or
            ``--out`` has another ending.
    """
    for checkpoint in (args.checkpoint, *(path for _, path in args.average_with)):
        check_checkpoint_file(checkpoint)
    if cfg.get('test_dataloader') is None or cfg.get('test_evaluator') is None:
        raise ValueError(f'{args.config} has no test_dataloader or no test_evaluator')
    for out in args.out:
        if Path(out).suffix not in ('.json', '.jsonl'):
            raise ValueError(f'--out: expected a file ending in .jsonl or .json, got {out}')
        make_writable_folder('--out', Path(out).parent)
    prepare_runner(cfg, args)
    if args.average_with:
        members = [dict(model=cfg.model, checkpoint=args.checkpoint)]
        for config, checkpoint in args.average_with:
            if not Path(config).is_file():
                raise FileNotFoundError(f'--average-with: there is no config file {config}')
            members.append(dict(model=Config.fromfile(config).model, checkpoint=checkpoint))
        cfg.model = dict(type='AveragingEnsemble', members=members)
        cfg.load_from = None
    else:
        cfg.load_from = args.checkpoint
    if args.tta:
        if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
            raise ValueError(f'--tta: {args.config} has no tta_model or no tta_pipeline')
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    if args.amp:
        cfg.test_cfg.fp16 = True
    evaluator = cfg.test_evaluator
    cfg.test_evaluator = [
        *(evaluator if isinstance(evaluator, list) else [evaluator]),
        *(dict(type='DumpPredictions', out_file=out) for out in args.out if out.endswith('.jsonl')),
    ]
    return cfg


def main() -> None:
    """Build a runner and test."""
    args = parse_args()
    with UserErrors() as guard:
        cfg = merge_args(load_config(args), args)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(WholeCheckpointHook())
        runner.register_hook(guard)
        metrics = runner.test()
    for out in args.out:
        if out.endswith('.json') and is_main_process():
            # mmsegmentation's metrics are NumPy's numbers.
            text = json.dumps(metrics, indent=2, default=float) + '\n'
            Path(out).write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()

#!/usr/bin/env python
"""Predict images: ``python tools/infer.py CONFIG CHECKPOINT IMAGE...``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from dldl_mm.cli import UserErrors, add_config_arguments, load_config
from dldl_mm.cls import LabelDistributionInferencer
from dldl_mm.hooks import check_checkpoint_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Predict images')
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('images', nargs='+', help='image files or folders')
    parser.add_argument('--out', help='file for the predictions (.jsonl)')
    parser.add_argument(
        '--show-dir', help='folder for a picture of each image and its distribution'
    )
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--device', help='for example cuda:0 or cpu')
    return parser.parse_args()


def main() -> None:
    """Predict, print a line per image, and write what is asked for."""
    args = parse_args()
    with UserErrors():
        if args.out is not None and not args.out.endswith('.jsonl'):
            raise ValueError(f'--out: expected a file ending in .jsonl, got {args.out}')
        if args.batch_size < 1:
            raise ValueError(f'--batch-size must be at least 1, got {args.batch_size}')
        cfg = load_config(args)
        check_checkpoint_file(args.checkpoint)
        inferencer = LabelDistributionInferencer(cfg, args.checkpoint, device=args.device)
        records = inferencer(args.images, batch_size=args.batch_size, show_dir=args.show_dir)
        if args.out is not None:
            Path(args.out).parent.mkdir(parents=True, exist_ok=True)
            Path(args.out).write_text(
                ''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records),
                encoding='utf-8',
            )
    for record in records:
        print(record['img_path'], _describe(record, inferencer.classes))


def _describe(record: dict, classes: Sequence[str] | None) -> str:
    if 'pred_value' not in record:
        names = classes or range(len(record['pred_score']))
        best = sorted(zip(record['pred_score'], names, strict=True), reverse=True)[:3]
        return ', '.join(f'{name} {score:.2f}' for score, name in best)
    text = _numbers(record['pred_value'])
    if 'pred_std' in record:
        text += f' ± {_numbers(record["pred_std"])}'
    if 'pred_interval' in record:
        low, high = record['pred_interval']
        text += f' (90 %: {low:g} to {high:g})'
    return text


def _numbers(value: float | list[float]) -> str:
    several = value if isinstance(value, list) else [value]
    return ', '.join(f'{number:.1f}' for number in several)


if __name__ == '__main__':
    main()

#!/usr/bin/env python
"""Train and test a config once per fold; mean and deviation of every metric over the folds."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dldl_mm.benchmark import (
    Folds,
    Suite,
    add_run_arguments,
    make_cells,
    run_cells,
    spread,
    write_results,
)
from dldl_mm.benchmark.records import write_text
from dldl_mm.cli import UserErrors, add_config_arguments, set_data_root

EPILOG = """
Each fold is tested once, by a model trained on all the others; the last epoch counts, nothing is
selected by the test fold. A fold that is done is skipped, one that was cut off goes on.

examples:
  the five folds of Pointing'04 of the authors, whose persons are in all folds:
    cross_validate.py configs/pose/convnet_dldl_pointing04.py --data-root data/pointing04 \\
        --allow-shared-subjects
  leave one person out:
    cross_validate.py configs/pose/convnet_dldl_pointing04.py --data-root data/pointing04 \\
        --column subject
  a choice between settings that never sees fold 1:
    cross_validate.py CONFIG --exclude 1 --folds 2 --cfg-options model.head.codec.sigma=10
  folds of faces, from a file that tools/make_splits.py --scheme kfold wrote:
    cross_validate.py configs/age/resnet18_dldl_utkface.py --ann-file folds.csv
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_arguments(parser)
    add_run_arguments(parser)
    parser.add_argument('--folds', nargs='+', help='folds to test (default: all)')
    parser.add_argument('--exclude', nargs='+', default=[], help='folds that no part may see')
    parser.add_argument(
        '--column',
        default='fold',
        help="column of the folds; it takes the place of the config's `where` (default: fold)",
    )
    parser.add_argument(
        '--ann-file',
        help="file with that column, relative to the data root (default: the config's)",
    )
    parser.add_argument('--seed', type=int, help="seed of every fold (default: the config's)")
    parser.add_argument(
        '--allow-shared-subjects',
        action='store_true',
        help='for published folds that are random over the images: persons may be in all of them',
    )
    return parser.parse_args()


def summarise(records: Sequence[dict[str, Any]], column: str) -> str:
    """A CSV table: a row for each metric with mean, deviation and the value of each fold."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    names = [f'{column} {record["fold"]}' for record in records]
    writer.writerow(['metric', 'mean', 'deviation', 'folds', *names])
    for name, (mean, deviation, count) in spread(records).items():
        values = [record['metrics'].get(name, '') for record in records]
        writer.writerow([name, mean, deviation, count, *values])
    return text.getvalue()


def main() -> None:
    """Run what is missing and aggregate."""
    args = parse_args()
    with UserErrors():
        stem = Path(args.config).stem
        work_dir = args.work_dir or Path('work_dirs') / 'cross_validation' / stem
        set_data_root(args)
        suite = Suite(
            name=f'cross-validation by {args.column}',
            methods={stem: args.config},
            options=args.cfg_options or {},
            seeds=(args.seed,),
            folds=Folds(args.column, args.ann_file, args.folds, args.exclude),
            allow_shared_subjects=args.allow_shared_subjects,
        )
        cells = make_cells(suite, work_dir, Path(__file__).resolve().parent)
        failed = run_cells(cells, work_dir, args.jobs, args.slurm)
    for name, message in failed.items():
        print(f'error: {name}: {message}', file=sys.stderr)
    if failed:
        sys.exit(1)
    records = write_results(cells, work_dir)
    write_text(work_dir / 'summary.csv', summarise(records, args.column))
    summary = {
        name: dict(mean=mean, deviation=deviation if count > 1 else None, folds=count)
        for name, (mean, deviation, count) in spread(records).items()
    }
    write_text(work_dir / 'summary.json', json.dumps(summary, indent=2) + '\n')
    print(f'{stem}: mean ± deviation over {len(records)} folds, last epoch')
    width = max(map(len, summary))
    for name, (mean, deviation, count) in spread(records).items():
        note = '' if count == len(records) else f' ({count} folds)'
        print(f'  {name:{width}} {mean:10.4f} ± {deviation:.4f}{note}')
    print(f'in {work_dir / "summary.csv"}')


if __name__ == '__main__':
    main()

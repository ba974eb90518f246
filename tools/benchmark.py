#!/usr/bin/env python
"""Train and test every method of a suite: each cell in its own process, all results as records."""

import argparse
import sys
from pathlib import Path

from dldl_mm.benchmark import (
    add_run_arguments,
    make_cells,
    make_tables,
    read_results,
    read_suite,
    run_cells,
    to_markdown,
    write_results,
)
from dldl_mm.cli import UserErrors, add_config_arguments, set_data_root

EPILOG = """
A cell that is done is skipped, one that was cut off goes on, one that fails does not stop the others.
What decides whether a cell is done is a hash of its resolved config, its data and the code.

examples:
  benchmark.py configs/benchmarks/age_utkface.py --data-root data/utkface
  benchmark.py configs/benchmarks/age_utkface.py --data-root data/utkface --methods l1 dldl
  a trial of all methods, two at once:
    benchmark.py configs/benchmarks/age_synthetic.py --jobs 2 --work-dir work_dirs/trial \\
        --cfg-options train_cfg.max_epochs=1 param_scheduler.total_steps=1
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_arguments(parser, 'suite', 'suite file, see configs/benchmarks')
    add_run_arguments(parser)
    parser.add_argument('--methods', nargs='+', help='methods to run (default: all)')
    return parser.parse_args()


def main() -> None:
    """Run what is missing; show the table of what is done."""
    args = parse_args()
    with UserErrors():
        set_data_root(args)
        suite = read_suite(args.suite, args.cfg_options)
        unknown = [method for method in args.methods or [] if method not in suite.methods]
        if unknown:
            raise ValueError(
                f'--methods: {args.suite} has no {", ".join(unknown)}; '
                f'it has {", ".join(suite.methods)}'
            )
        work_dir = args.work_dir or Path('work_dirs') / 'benchmarks' / Path(args.suite).stem
        cells = make_cells(suite, work_dir, Path(__file__).resolve().parent)
        chosen = [c for c in cells if args.methods is None or c.labels['method'] in args.methods]
        failed = run_cells(
            *(chosen, work_dir, args.jobs, args.slurm),
            done=lambda: write_results(cells, work_dir, suite.table),
            metric=next(iter(suite.metrics)),
        )
        records = write_results(cells, work_dir, suite.table)
        for name, message in failed.items():
            print(f'error: {name}: {message}', file=sys.stderr)
        if records:
            file = work_dir / 'records.jsonl'
            print(to_markdown(make_tables(read_results([file]))))
            print(f'{len(records)} of {len(cells)} cells are in {file}')
    if failed:
        sys.exit(1)


if __name__ == '__main__':
    main()

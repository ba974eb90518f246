#!/usr/bin/env python
"""Turn records of benchmarks into tables: Markdown, CSV and one web page."""

import argparse
from pathlib import Path

from dldl_mm.benchmark import make_tables, publish, read_results, write_pages
from dldl_mm.cli import UserErrors

EPILOG = """
examples:
  tables and a page, here:
    leaderboard.py work_dirs/benchmarks/*/records.jsonl --baseline l1
  a folder for the repository, records and samples included; later, more rows:
    leaderboard.py work_dirs/benchmarks/age_utkface/records.jsonl \\
        --publish results/leaderboards/age_utkface
    leaderboard.py results/leaderboards/age_utkface/records.jsonl submission/records.jsonl \\
        --publish results/leaderboards/age_utkface
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('records', nargs='+', type=Path, help='records.jsonl of tools/benchmark.py')
    parser.add_argument(
        '--baseline', help="method that the others are compared with (default: the suite's)"
    )
    parser.add_argument('--title', help='headline (default: the name of the suite)')
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        '--out', type=Path, default=Path('.'), help='folder of leaderboard.md, .csv and .html'
    )
    what.add_argument(
        '--publish', type=Path, metavar='FOLDER', help='write a folder for a repository'
    )
    what.add_argument(
        '--check', action='store_true', help='only say whether the records hold together'
    )
    return parser.parse_args()


def main() -> None:
    """Read the records and write the tables."""
    args = parse_args()
    with UserErrors():
        results = read_results(args.records, whole=args.check or args.publish is not None)
        tables = make_tables(results, args.baseline)
        for table in tables:
            count = sum(len(row.results) for row in table.rows)
            print(f'{table.suite}: {count} records of {len(table.rows)} rows are in order')
        title = args.title or (tables[0].suite if len(tables) == 1 else 'Leaderboard')
        if args.publish is not None:
            publish(tables, args.publish, title)
            print(f'in {args.publish / "README.md"}')
        elif not args.check:
            write_pages(tables, args.out, title)
            print(f'in {args.out / "leaderboard.html"}, .md and .csv')


if __name__ == '__main__':
    main()

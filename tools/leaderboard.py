#!/usr/bin/env python
"""Turn records of benchmarks into tables: Markdown, CSV and one web page."""

import argparse
from pathlib import Path

from dldl_mm.benchmark import make_tables, read_results, to_csv, to_html, to_markdown
from dldl_mm.benchmark.records import write_text
from dldl_mm.cli import UserErrors

EPILOG = """
examples:
  leaderboard.py work_dirs/benchmarks/*/records.jsonl --out leaderboard --baseline l1
  a submission, before it is sent:
    leaderboard.py submission/records.jsonl results/leaderboards/*/records.jsonl --check
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('records', nargs='+', type=Path, help='records.jsonl of tools/benchmark.py')
    parser.add_argument('--out', type=Path, default=Path('.'), help='folder of leaderboard.*')
    parser.add_argument(
        '--baseline', help='method that the others are compared with (default: the first)'
    )
    parser.add_argument('--title', default='Leaderboard', help='headline of the page')
    parser.add_argument(
        '--check', action='store_true', help='only say whether the records hold together'
    )
    return parser.parse_args()


def main() -> None:
    """Read the records and write the tables."""
    args = parse_args()
    with UserErrors():
        results = read_results(args.records)
        tables = make_tables(results, args.baseline)
        if args.check:
            for table in tables:
                count = sum(len(row.results) for row in table.rows)
                print(f'{table.suite}: {count} records of {len(table.rows)} rows are in order')
            return
        for ending, text in (
            ('md', to_markdown(tables)),
            ('csv', to_csv(tables)),
            ('html', to_html(tables, args.title)),
        ):
            write_text(args.out / f'leaderboard.{ending}', text)
        print(f'{len(results)} records in {args.out / "leaderboard.html"}, .md and .csv')


if __name__ == '__main__':
    main()

"""Running cells (one training each) and keeping their results as records."""

from dldl_mm.benchmark.cell import Cell, CellError, make_cell, run_cell
from dldl_mm.benchmark.data import DataChecker
from dldl_mm.benchmark.leaderboard import make_tables, to_csv, to_html, to_markdown
from dldl_mm.benchmark.publish import publish, write_pages
from dldl_mm.benchmark.records import spread, write_results
from dldl_mm.benchmark.results import read_results
from dldl_mm.benchmark.schedule import add_run_arguments, run_cells
from dldl_mm.benchmark.suite import Folds, Suite, make_cells, read_suite

__all__ = [
    'Cell',
    'CellError',
    'DataChecker',
    'Folds',
    'Suite',
    'add_run_arguments',
    'make_cell',
    'make_cells',
    'make_tables',
    'publish',
    'read_results',
    'read_suite',
    'run_cell',
    'run_cells',
    'spread',
    'to_csv',
    'to_html',
    'to_markdown',
    'write_pages',
    'write_results',
]

"""Running cells (one training each) and keeping their results as records."""

from dldl_mm.benchmark.cell import Cell, CellError, make_cell, run_cell
from dldl_mm.benchmark.data import DataChecker
from dldl_mm.benchmark.records import read_records, spread, write_results
from dldl_mm.benchmark.schedule import add_run_arguments, run_cells

__all__ = [
    'Cell',
    'CellError',
    'DataChecker',
    'add_run_arguments',
    'make_cell',
    'read_records',
    'run_cell',
    'run_cells',
    'spread',
    'write_results',
]

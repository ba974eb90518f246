"""Suites: which methods are trained how often on which data, and the cells that follow from it."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from dldl_mm.benchmark.cell import Cell, from_checkout, make_cell
from dldl_mm.benchmark.data import DataChecker
from dldl_mm.cli import read_config
from dldl_mm.datasets.base import LabelDistributionDataset, sample_columns
from dldl_mm.registry import DATASETS

RULES = ('less', 'greater')


@dataclass(frozen=True)
class Folds:
    """Folds by a column of the annotations: each is tested once, by a model trained on the others.

    Attributes:
        column: The column; it takes the place of the configs' ``where``.
        ann_file: File with that column, relative to the data root; None keeps the configs' own.
        only: Folds to test; None tests all.
        exclude: Folds that no part may see.
    """

    column: str = 'fold'
    ann_file: str | None = None
    only: Sequence[str] | None = None
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Folds are compared as text, as ``where`` does."""
        object.__setattr__(self, 'only', None if self.only is None else list(map(str, self.only)))
        object.__setattr__(self, 'exclude', list(map(str, self.exclude)))


@dataclass(frozen=True)
class Suite:
    """A benchmark: every method with every size, fold and seed.

    Attributes:
        name: What the table is called.
        methods: From the name of a method to its config file. Data, splits and what the methods do
            not differ in are those of the configs.
        options: Overrides for every config, as of ``--cfg-options``, or nested.
        seeds: Seeds of the runs; None keeps the configs' own.
        folds: Folds for cross-validation; None tests on the configs' test data.
        sizes: Numbers of training samples, each a nested random subset drawn with the run's seed;
            none takes all.
        metrics: The columns of the table, the first decides the order: from the name to which is
            better, ``'less'`` or ``'greater'``.
        allow_shared_subjects: Whether persons may be in training and test, as in published protocols
            that are random over the images.
        baseline: Method that the table compares the others with; None takes the first.
        command: What runs it, for the readers of its records.

    Raises:
        ValueError: No method or no seed, a method without a config file, an unusable rule, size or
            baseline.
    """

    name: str
    methods: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int | None] = (None,)
    folds: Folds | None = None
    sizes: Sequence[int] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    allow_shared_subjects: bool = False
    baseline: str | None = None
    command: str = ''

    @property
    def table(self) -> dict[str, Any]:
        """What each of its records says of the table that they make."""
        baseline = self.baseline or next(iter(self.methods))
        return dict(rules=dict(self.metrics), baseline=baseline, command=self.command)

    def __post_init__(self) -> None:
        """Refuse what could not run."""
        if not self.methods:
            raise ValueError(f'{self.name}: methods is empty; expected name = config file')
        for method, file in self.methods.items():
            if not os.path.isfile(file):
                known = [path.name for path in Path(file).parent.glob('*.py')]
                close = difflib.get_close_matches(Path(file).name, known, 3, 0.5)
                hint = f'; similar ones are: {", ".join(close)}' if close else ''
                raise ValueError(
                    f'{self.name}: method {method!r}: there is no config file {file}{hint}'
                )
        for name, values in (('seeds', self.seeds), ('sizes', self.sizes)):
            if len(set(values)) < len(values):
                raise ValueError(f'{self.name}: {name} names a value twice: {list(values)}')
        if not self.seeds:
            raise ValueError(f'{self.name}: seeds is empty; expected at least one')
        if not all(isinstance(size, int) and size > 0 for size in self.sizes):
            raise ValueError(
                f'{self.name}: sizes must be positive numbers of samples, got {list(self.sizes)}'
            )
        if self.baseline is not None and self.baseline not in self.methods:
            raise ValueError(
                f'{self.name}: baseline: there is no method {self.baseline!r}; '
                f'there are {", ".join(self.methods)}'
            )
        for metric, rule in self.metrics.items():
            if rule not in RULES:
                raise ValueError(
                    f"{self.name}: metrics: {metric} must be 'less' or 'greater', got {rule!r}"
                )


def read_suite(path: str | Path, options: Mapping[str, Any] | None = None) -> Suite:
    """Read a suite file, a config whose variables are the attributes of :class:`Suite`.

    Variables with a leading underscore are the file's own. The name is that of the file by default.

    Args:
        path: The file. Paths of ``methods`` are relative to it.
        options: Further overrides for every config.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An unknown or missing variable, or see :class:`Suite`.
    """
    values = {
        name: value
        for name, value in read_config(path).to_dict().items()
        if not name.startswith('_')  # what the file uses for itself
    }
    known = [f.name for f in fields(Suite) if f.name != 'command']
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ValueError(
            f'{path}: unknown {", ".join(unknown)}; a suite may have {", ".join(known)}'
        )
    for name, kind in (('methods', dict), ('metrics', dict)):
        if not isinstance(values.get(name), kind) or not values[name]:
            raise ValueError(f'{path}: expected {name} = dict(…), got {values.get(name)!r}')
    folder = Path(path).parent
    values['methods'] = {
        method: os.path.relpath(folder / file) for method, file in values['methods'].items()
    }
    values['command'] = _command(path, options or {})
    values['options'] = {**values.get('options', {}), **(options or {})}
    if values.get('folds') is not None:
        values['folds'] = Folds(**values['folds'])
    return Suite(**{'name': Path(path).stem, **values})


def _command(path: str | Path, options: Mapping[str, Any]) -> str:
    words = ['python', 'tools/benchmark.py', from_checkout(path)]
    if options:
        words += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    return shlex.join(words)


def make_cells(suite: Suite, work_dir: Path, tools: Path) -> list[Cell]:
    """Resolve all cells of a suite, with their data checked, before any of them runs.

    Args:
        suite: The suite.
        work_dir: Where the cells' folders go.
        tools: Folder of ``train.py`` and ``test.py``.

    Raises:
        ValueError: See :func:`find_folds` and :func:`make_cell`.
        FileNotFoundError: Data are missing.
    """
    check_data = DataChecker(suite.allow_shared_subjects)
    folds: list[str | None] = [None]
    known: list[str] = []
    if suite.folds is not None:
        first = read_config(next(iter(suite.methods.values())), suite.options)
        known = find_folds(first, suite.folds)
        folds = [f for f in known if suite.folds.only is None or f in suite.folds.only]
    sizes: Sequence[int | None] = suite.sizes or (None,)
    cells = []
    for method, file in suite.methods.items():
        for size in sizes:
            for fold in folds:
                for seed in suite.seeds:
                    cfg = read_config(file, suite.options)
                    if seed is not None:
                        cfg.merge_from_dict({'randomness.seed': seed})
                    seed_of_run = (cfg.get('randomness') or {}).get('seed')
                    if fold is not None and suite.folds is not None:
                        set_fold(cfg, suite.folds, known, fold)
                    if size is not None:
                        cfg.train_dataloader.dataset.subset = dict(size=size, seed=seed_of_run or 0)
                    labels = dict(
                        suite=suite.name, method=method, size=size, fold=fold, seed=seed_of_run
                    )
                    cells.append(make_cell(labels, cfg, file, work_dir, tools, check_data))
    return cells


def set_fold(cfg: Config, folds: Folds, known: Sequence[str], fold: str) -> None:
    """Make a config test on one fold and train on the others; the last checkpoint counts.

    The three data sets are set one by one: mmengine copies variables when it parses a file, so
    that a variable ``fold`` could not reach them.
    """
    others = [other for other in known if other != fold]
    for part, values in (('train', others), ('val', [fold]), ('test', [fold])):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.where = {folds.column: values}
        if folds.ann_file is not None:
            dataset.ann_file = folds.ann_file
    cfg.merge_from_dict({'default_hooks.checkpoint.save_best': None})


def find_folds(cfg: Config, folds: Folds) -> list[str]:
    """The values of the column of folds without the excluded ones, numbers in their order.

    Raises:
        ValueError: There is no such column, or it has fewer than two values.
    """
    options = cfg.train_dataloader.dataset.to_dict()
    options.update(pipeline=[], where=None, lazy_init=True)
    if folds.ann_file is not None:
        options['ann_file'] = folds.ann_file
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = DATASETS.build(options)
    if not isinstance(dataset, LabelDistributionDataset):
        raise ValueError(f'{type(dataset).__name__} cannot select its samples by a column')
    columns = [sample_columns(item) for item in dataset.load_data_list()]
    missing = sum(folds.column not in found for found in columns)
    if missing:
        known = ', '.join(dict.fromkeys(name for found in columns for name in found))
        raise ValueError(
            f'folds: {missing} of {len(columns)} samples have no {folds.column!r}; '
            f'the columns are: {known}'
        )
    found = {str(column[folds.column]) for column in columns}
    unknown = [fold for fold in [*(folds.only or []), *folds.exclude] if fold not in found]
    if unknown:
        raise ValueError(
            f'folds: there is no {folds.column} {", ".join(unknown)}; '
            f'there are {", ".join(sorted(found))}'
        )
    found -= set(folds.exclude)
    if len(found) < 2:
        raise ValueError(f'folds: at least two are needed, {folds.column} has {len(found)}')
    return sorted(found, key=lambda fold: (len(fold), fold) if fold.isdigit() else (0, fold))

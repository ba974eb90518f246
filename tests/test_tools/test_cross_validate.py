"""The folds and the aggregation; running a cell is tested in tests/test_benchmark."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dldl_mm.benchmark.records import write_text

ROOT = Path(__file__).parents[2]
AGE = ROOT / 'configs' / 'age' / 'resnet18_dldl_csv.py'


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / 'faces'
    root.mkdir()
    rng = np.random.default_rng(0)
    rows = ['file,age,fold,subject,group']
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(root / f'{i}.png')
        rows.append(f'{i}.png,{20 + i},{10 * (i % 4 + 1)},p{i % 4},{i % 2}')
    (root / 'folds.csv').write_text('\n'.join(rows))
    return root


@pytest.fixture
def started(monkeypatch):
    """Take the place of training: the metric is the number of the fold."""
    cells = []

    def run_cell(cell, environment):
        cells.append(cell)
        file = f'samples/{cell.folder.name}.csv.gz'
        mae = float(cell.labels['fold'].strip('p'))
        record = dict(cell.labels, metrics={'age/mae': mae}, seconds=1.0, samples=dict(file=file))
        write_text(cell.folder / 'samples.csv.gz', '')
        write_text(cell.folder / 'record.json', json.dumps(record))
        return record

    monkeypatch.setattr('dldl_mm.benchmark.schedule.run_cell', run_cell)
    return cells


def cross_validate(run_tool, faces, *options):
    return run_tool(
        *('cross_validate', AGE, '--data-root', faces, '--ann-file', 'folds.csv'),
        *('--work-dir', faces.parent / 'work', *options),
    )


def wheres(cell):
    return [cell.config[f'{part}_dataloader'].dataset.where for part in ('train', 'val', 'test')]


def test_every_fold_is_tested_once_and_all_are_aggregated(run_tool, faces, started):
    options = ['--seed', 3, '--cfg-options', 'train_cfg.max_epochs=7']
    done = cross_validate(run_tool, faces, *options)
    assert done.code == 0, done.err
    assert {cell.labels['fold'] for cell in started} == {'10', '20', '30', '40'}
    for cell in started:
        fold = cell.labels['fold']
        train, val, test = wheres(cell)
        assert test == val == dict(fold=[fold])
        assert sorted([*train['fold'], fold]) == ['10', '20', '30', '40']
        assert cell.config.randomness.seed == cell.labels['seed'] == 3
        assert cell.config.train_cfg.max_epochs == 7
        assert cell.config.test_dataloader.dataset.ann_file == 'folds.csv'
    work = faces.parent / 'work'
    with open(work / 'summary.csv') as file:
        (row,) = csv.DictReader(file)
    expected = np.array([10, 20, 30, 40])
    assert float(row['mean']) == expected.mean()
    assert float(row['deviation']) == pytest.approx(expected.std(ddof=1))
    assert [float(row[f'fold {fold}']) for fold in expected] == expected.tolist()
    assert json.loads((work / 'summary.json').read_text())['age/mae']['folds'] == 4
    assert '25.0000 ± 12.9099' in done.out
    assert len((work / 'records.jsonl').read_text().splitlines()) == 4

    started.clear()
    assert '4 cells, 4 done' in cross_validate(run_tool, faces, *options).out
    assert not started


def test_folds_of_persons_and_folds_left_out(run_tool, faces, started):
    done = cross_validate(run_tool, faces, '--column', 'subject')
    assert done.code == 0, done.err
    assert dict(subject=['p0', 'p1', 'p3']) in [wheres(cell)[0] for cell in started]
    started.clear()
    done = cross_validate(run_tool, faces, '--exclude', 10, '--folds', 20)
    assert done.code == 0, done.err
    assert [wheres(cell)[0] for cell in started] == [dict(fold=['30', '40'])]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--column', 'kind'], "8 of 8 samples have no 'kind'; the columns are: fold, group, subj"),
        (['--folds', 10, 50], 'there is no fold 50; there are 10, 20, 30, 40'),
        (['--exclude', 10, 20, 30], 'at least two are needed, fold has 1'),
        (['--jobs', 0], '--jobs must be at least 1, got 0'),
        (['--ann-file', 'none.csv'], 'none.csv'),
    ],
)
def test_mistakes(options, message, run_tool, faces, started):
    done = cross_validate(run_tool, faces, *options)
    assert done.code == 2
    assert message in done.err.splitlines()[-1]
    assert not started


def test_persons_in_all_folds_must_be_allowed(run_tool, faces, started):
    text = (faces / 'folds.csv').read_text().replace('p1', 'p0')
    (faces / 'folds.csv').write_text(text)
    done = cross_validate(run_tool, faces)
    assert done.code == 2
    assert 'share 1 subjects: p0' in done.err
    assert cross_validate(run_tool, faces, '--allow-shared-subjects').code == 0


def test_a_selection_by_validation_is_switched_off(run_tool, faces, started):
    save = 'default_hooks.checkpoint.save_best=age/mae'
    assert cross_validate(run_tool, faces, '--cfg-options', save).code == 0
    assert all(cell.config.default_hooks.checkpoint.save_best is None for cell in started)


def test_nothing_is_aggregated_over_some_of_the_folds(run_tool, faces, started, monkeypatch):
    def fail(cell, environment):
        raise RuntimeError('no power')

    monkeypatch.setattr('dldl_mm.benchmark.schedule.run_cell', fail)
    done = cross_validate(run_tool, faces, '--folds', 10)
    assert done.code == 1
    assert 'fold 10, seed 0: no power' in done.err
    assert not (faces.parent / 'work' / 'summary.csv').exists()

"""A suite from its file to the table; running a cell is tested in tests/test_benchmark."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dldl_mm.benchmark import read_suite
from dldl_mm.benchmark.records import FORMAT, write_bytes, write_text

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / 'configs' / 'benchmarks').glob('*.py'))
AGE = ROOT / 'configs' / 'age' / 'resnet18_dldl_csv.py'


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / 'faces'
    root.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (('train', 6), ('val', 2)):
        rows = ['file,age']
        for i in range(count):
            name = f'{part}{i}.png'
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(root / name)
            rows.append(f'{name},{20 + i}')
        (root / f'{part}.csv').write_text('\n'.join(rows))
    return root


@pytest.fixture
def started(monkeypatch):
    """Take the place of training: the error is 2 for one method and 1 for the other."""
    cells = []

    def run_cell(cell, environment):
        cells.append(cell)
        if cell.labels['method'] == 'broken':
            raise RuntimeError('no power')
        error = 2 if cell.labels['method'] == 'first' else 1
        content = gzip.compress(f'id,group,error,decade\na,,{error},20\nb,,{-error},30\n'.encode())
        record = dict(
            cell.labels,
            format=FORMAT,
            hash=cell.hash,
            config=dict(file=cell.source, resolved=cell.config.to_dict()),
            data=cell.data,
            pretraining=[],
            checkpoint=dict(file='', selected_by='nothing: the last'),
            metrics={'age/mae': error},
            seconds=1.0,
            samples=dict(
                file=f'samples/{cell.folder.name}.csv.gz',
                sha256=hashlib.sha256(content).hexdigest(),
            ),
            versions={},
            code='',
            commit=None,
            device='',
        )
        write_bytes(cell.folder / 'samples.csv.gz', content)
        write_text(cell.folder / 'record.json', json.dumps(record, default=str))
        return record

    monkeypatch.setattr('dldl_mm.benchmark.schedule.run_cell', run_cell)
    return cells


def write_suite(folder, **changes):
    values = dict(
        methods={'first': str(AGE), 'second': str(AGE)},
        seeds=[0, 1],
        options={'default_hooks': dict(checkpoint=dict(save_best=None))},
        metrics={'age/mae': 'less'},
    )
    values.update(changes)
    path = folder / 'ages.py'
    path.write_text('_own = 1\n' + ''.join(f'{k} = {v!r}\n' for k, v in values.items()))
    return path


def benchmark(run_tool, suite, faces, *options):
    work = faces.parent / 'work'
    return run_tool('benchmark', suite, '--data-root', faces, '--work-dir', work, *options)


def test_every_method_size_and_seed_is_run_once(run_tool, faces, started):
    options = {'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3)}
    suite = write_suite(faces.parent, sizes=[2, 4], options=options)
    done = benchmark(run_tool, suite, faces, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5')
    assert done.code == 0, done.err
    labels = {tuple(cell.labels.values()) for cell in started}
    assert labels == {
        ('ages', method, size, None, seed)
        for method in ('first', 'second')
        for size in (2, 4)
        for seed in (0, 1)
    }
    for cell in started:
        assert cell.data['train']['samples'] == cell.labels['size']
        assert cell.config.randomness.seed == cell.labels['seed']
        assert cell.config.train_cfg == dict(type='IterBasedTrainLoop', max_iters=3)
        assert cell.config.optim_wrapper.optimizer.lr == 0.5
    assert '| second | 2 | none | 2 | **1.00 ± 0.00** | −1.00 [−1.00, −1.00] |' in done.out
    assert '8 of 8 cells' in done.out
    started.clear()
    assert (
        '8 cells, 8 done'
        in benchmark(run_tool, suite, faces, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5').out
    )
    assert not started


def test_some_methods_and_a_failing_one(run_tool, faces, started):
    methods = {'first': str(AGE), 'broken': str(AGE)}
    suite = write_suite(faces.parent, methods=methods, seeds=[0])
    done = benchmark(run_tool, suite, faces, '--methods', 'first')
    assert (done.code, '1 of 2 cells' in done.out) == (0, True)
    done = benchmark(run_tool, suite, faces)
    assert done.code == 1
    assert 'error: broken, seed 0: no power' in done.err
    assert '| first | none | 1 | 2.00 |' in done.out


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(methods={'x': str(AGE).replace('dldl_csv', 'dldl_cvs')}), 'resnet18_dldl_csv.py'),
        (dict(methods={}), 'expected methods = dict(…), got {}'),
        (dict(metrics={'age/mae': 'low'}), "age/mae must be 'less' or 'greater', got 'low'"),
        (dict(seeds=[1, 1]), 'seeds names a value twice: [1, 1]'),
        (dict(sizes=[0]), 'sizes must be positive numbers of samples, got [0]'),
        (dict(sizes=[7]), 'subset: size must be 1 to 6 samples, got 7'),
        (dict(baseline='third'), "there is no method 'third'; there are first, second"),
        (dict(seed=[1]), 'unknown seed; a suite may have name, methods, options, seeds'),
        (dict(folds=dict(column='fold')), "6 of 6 samples have no 'fold'"),
        (
            {'options': {'default_hooks': dict(checkpoint=dict(save_best='age/mae'))}},
            "save_best='age/mae' would select on the test data",
        ),
        ({'options': {'test_dataloader.dataset.ann_file': 'train.csv'}}, 'train and test share 6'),
        ({'options': {'test_dataloader.dataset.ann_file': 'none.csv'}}, 'none.csv'),
    ],
)
def test_mistakes_end_before_anything_runs(changes, message, run_tool, faces, started):
    done = benchmark(run_tool, write_suite(faces.parent, **changes), faces)
    assert done.code == 2
    assert message in done.err.splitlines()[-1]
    assert not started


def test_unknown_method_on_the_command_line(run_tool, faces, started):
    done = benchmark(run_tool, write_suite(faces.parent), faces, '--methods', 'third')
    assert done.code == 2
    assert 'has no third; it has first, second' in done.err


@pytest.mark.parametrize('path', SUITES, ids=lambda path: path.stem)
def test_the_suites_that_come_along_are_read(path):
    suite = read_suite(path)
    assert suite.name != path.stem
    # Only what differs between methods may differ: they are all of one data set and recipe.
    ends = {Path(file).stem.rpartition('_')[2] for file in suite.methods.values()}
    assert len(ends) == 1

"""Running cells: the tools are replaced by small scripts, so that no training is needed."""

import fcntl
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from dldl_mm.benchmark import DataChecker, make_cell, read_results, run_cells, write_results

ROOT = Path(__file__).parents[2]

TRAIN = """
import pathlib, sys, time
work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
cell = work.parent
with open(cell / 'starts', 'a') as file:
    file.write(' '.join(sys.argv[2:]) + '\\n')
flag = cell.parent / 'behave'
behave = flag.read_text() if flag.exists() else ''
(work / 'epoch_1.pth').write_bytes(b'')
if behave == 'hang':
    time.sleep(60)
if behave == 'fail' and cell.name.startswith('bad'):
    print('error: the disk of this test is full')
    sys.exit(2)
(work / 'epoch_2.pth').write_bytes(b'')
"""
TEST = """
import json, sys
assert sys.argv[2].endswith('epoch_2.pth'), sys.argv
metrics, predictions = sys.argv[-2:]
json.dump({'age/mae': 2.5}, open(metrics, 'w'))
with open(predictions, 'w') as file:
    for name in ('0.jpg', '1.jpg'):
        sample = dict(img_path=name, gt_value=20.0, pred_value=22.5, pred_score=[0.25, 0.5, 0.25])
        file.write(json.dumps(sample) + '\\n')
"""


@pytest.fixture
def tools(tmp_path):
    folder = tmp_path / 'tools'
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    (folder / 'test.py').write_text(TEST)
    return folder


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / 'faces'
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(root / f'{i}.png')
    rows = [f'{i}.png,{19 + i % 3},{i % 3},p{i}' for i in range(6)]
    (root / 'faces.csv').write_text('\n'.join(['file,age,fold,subject', *rows]))
    return root


def config(root, train=(0, 1), test=(2,), **options):
    def loader(folds):
        return dict(
            dataset=dict(
                type='AgeDataset',
                ann_file='faces.csv',
                data_root=str(root),
                where=dict(fold=list(folds)),
            )
        )

    codec = dict(type='GaussianLabelCodec', start=19, stop=21, decode='median')
    return Config(
        dict(
            model=dict(head=dict(codec=codec)),
            train_dataloader=loader(train),
            val_dataloader=loader(test),
            test_dataloader=loader(test),
            custom_imports=dict(imports=['dldl_mm.datasets']),
            **options,
        )
    )


def cells_of(tmp_path, faces, tools, methods=('a', 'bad', 'c'), **options):
    return [
        make_cell(
            dict(suite='s', method=method, seed=0),
            config(faces, method=method, **options),
            'config.py',
            tmp_path / 'work',
            tools,
            DataChecker(),
        )
        for method in methods
    ]


def run(cells, tmp_path, **options):
    out = io.StringIO()
    failed = run_cells(cells, tmp_path / 'work', 2, out=out, poll=0.01, **options)
    return failed, out.getvalue()


def test_cells_run_once_and_their_records_say_what_was_run(tmp_path, faces, tools):
    cells = cells_of(tmp_path, faces, tools)
    failed, text = run(cells, tmp_path)
    assert not failed
    assert '[3/3]' in text
    records = write_results(cells, tmp_path / 'work')
    results = read_results([tmp_path / 'work' / 'records.jsonl'])
    assert [result.record for result in results] == records
    assert [r['method'] for r in records] == ['a', 'bad', 'c']
    for record, cell in zip(records, cells, strict=True):
        assert record['metrics'] == {'age/mae': 2.5}
        assert record['decoding'] == 'median'
        assert record['data']['train']['samples'] == 4
        assert record['data']['test']['samples'] == 2
        assert record['peak_memory_mb'] > 1
        assert record['cpu_seconds'] > 0
        assert not record['resumed']
        file = tmp_path / 'work' / record['samples']['file']
        table = gzip.decompress(file.read_bytes()).decode().splitlines()
        assert table[0] == 'id,group,error,decade,pit'
        # The truth 20 is the middle label of three: half of it and all below, 0.25 + 0.5 / 2.
        name = hashlib.sha256(b'0.jpg').hexdigest()[:10]
        assert f'{name},,2.5,20,0.5000' in table
        assert cell.config.method == Config.fromfile(cell.folder / 'config.py').method
        # Without a selection the test data stay unseen.
        assert (cell.folder / 'starts').read_text().split().count('--no-validate') == 1

    # Nothing of this machine is in what others get to see.
    text = (tmp_path / 'work' / 'records.jsonl').read_text()
    assert str(tmp_path) not in text
    assert records[0]['config']['resolved']['test_dataloader']['dataset']['data_root'] == 'faces'

    assert '3 cells, 3 done' in run(cells_of(tmp_path, faces, tools), tmp_path)[1]
    assert len((cells[0].folder / 'starts').read_text().splitlines()) == 1


def test_a_failing_cell_does_not_stop_the_others(tmp_path, faces, tools):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'behave').write_text('fail')
    cells = cells_of(tmp_path, faces, tools)
    failed, text = run(cells, tmp_path)
    assert list(failed) == ['bad, seed 0']
    assert 'code 2: the disk of this test is full' in failed['bad, seed 0']
    assert 'bad, seed 0: FAILED' in text
    assert [r['method'] for r in write_results(cells, tmp_path / 'work')] == ['a', 'c']

    (tmp_path / 'work' / 'behave').unlink()
    assert not run(cells, tmp_path)[0]
    assert cells[1].record['resumed']


def test_the_hash_follows_what_makes_a_result(tmp_path, faces, tools, monkeypatch):
    def digest(root=faces, **options):
        cfg = config(root, **options)
        return make_cell({}, cfg, '', tmp_path / 'work', tools, DataChecker()).hash

    first = digest()
    assert first == digest(work_dir='elsewhere')
    assert first != digest(max_epochs=3)
    moved = tmp_path / 'moved'
    faces.rename(moved)
    assert first == digest(moved)
    text = (moved / 'faces.csv').read_text()
    (moved / 'faces.csv').write_text(text.replace('0.png,19', '0.png,21'))
    assert first != digest(moved)
    (moved / 'faces.csv').write_text(text)
    weights = tmp_path / 'weights.pth'
    weights.write_bytes(b'1')
    hashes = {digest(moved, load_from=str(weights))}
    weights.write_bytes(b'2')
    hashes |= {digest(moved, load_from=str(weights)), first}
    assert len(hashes) == 3
    monkeypatch.setattr('dldl_mm.benchmark.cell.code_version', lambda: 'other')
    assert first != digest(moved)


def test_a_killed_run_leaves_no_training_and_goes_on(tmp_path, faces, tools):
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'behave').write_text('hang')
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_cells as t
cells = t.cells_of(Path({str(tmp_path)!r}), Path({str(faces)!r}), Path({str(tools)!r}), ('a',))
t.run_cells(cells, Path({str(work)!r}), 1)
"""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    process = subprocess.Popen(
        [sys.executable, '-c', script], env={**os.environ, 'PYTHONPATH': path}
    )
    deadline = time.monotonic() + 120
    while not list(work.glob('*/run/epoch_1.pth')) and time.monotonic() < deadline:
        time.sleep(0.1)
    (cell,) = cells_of(tmp_path, faces, tools, ('a',))
    with pytest.raises(ValueError, match='another process runs cells'):
        run([cell], tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert cell.record is None
    (work / 'behave').unlink()
    assert not run([cell], tmp_path)[0]
    assert cell.record['resumed']


def test_a_cell_that_an_orphan_still_runs_is_left_alone(tmp_path, faces, tools):
    (cell,) = cells_of(tmp_path, faces, tools, ('a',))
    cell.folder.mkdir(parents=True)
    with open(cell.folder / '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failed, _ = run([cell], tmp_path)
    assert 'an earlier benchmark still runs in' in failed['a, seed 0']
    assert not run([cell], tmp_path)[0]


def test_overlapping_data_are_refused(tmp_path, faces, tools):
    with pytest.raises(ValueError, match=r'train and test share 2 images: .*1\.png'):
        DataChecker()(config(faces, test=(1,)))
    (faces / '2.png').write_bytes((faces / '0.png').read_bytes())
    with pytest.raises(ValueError, match=r'1 identical images: .*2\.png = .*0\.png'):
        DataChecker()(config(faces))
    text = (faces / 'faces.csv').read_text().replace('p2', 'p1')
    (faces / 'faces.csv').write_text(text)
    with pytest.raises(ValueError, match='share 1 subjects: p1'):
        DataChecker()(config(faces))
    with pytest.raises(ValueError, match='1 identical images'):
        DataChecker(allow_shared_subjects=True)(config(faces))
    Image.new('RGB', (8, 8)).save(faces / '2.png')
    assert DataChecker(allow_shared_subjects=True)(config(faces))['shared_subjects'] == 1
    (faces / '2.png').unlink()
    with pytest.raises(ValueError, match=r'2\.png'):
        DataChecker()(config(faces))


@pytest.mark.parametrize(
    'options',
    [
        dict(default_hooks=dict(checkpoint=dict(save_best='age/mae'))),
        dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='age/mae')]),
        dict(param_scheduler=dict(type='ReduceOnPlateauLR', monitor='age/mae')),
    ],
)
def test_selection_on_the_test_data_is_refused(options, faces):
    with pytest.raises(ValueError, match='val and test share 2 images'):
        DataChecker()(config(faces, **options))
    cfg = config(faces, train=(0,), **options)
    cfg.val_dataloader.dataset.where = dict(fold=[1])
    assert DataChecker()(cfg)['val']['samples'] == 2


def test_metrics_and_their_spread():
    from dldl_mm.benchmark import spread

    records = [dict(metrics=dict(mae=v)) for v in (1.0, 2.0, 6.0)]
    records[0]['metrics']['rare'] = 4.0
    result = spread(records)
    assert result['mae'] == (3.0, pytest.approx(np.std([1, 2, 6], ddof=1)), 3)
    assert result['rare'][0] == 4.0
    assert np.isnan(result['rare'][1])
    assert json.dumps(result['rare'][2]) == '1'

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dldl_mm.datasets import AgeDataset, HeadPoseDataset, Pointing04, UTKFace, check_disjoint

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location('make_splits', ROOT / 'tools' / 'make_splits.py')
make_splits = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_splits)


@pytest.fixture
def root(tmp_path):
    """60 images of 12 persons; image 3 is a copy of 2, image 7 a copy of 50 with another age."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    rows = []
    for k in range(60):
        pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'images' / f'{k}.png')
        rows.append([f'{k}.png', str(20 + k % 5), f'p{k % 12}'])
    for copy, original in ((3, 2), (7, 50)):
        data = (tmp_path / 'images' / f'{original}.png').read_bytes()
        (tmp_path / 'images' / f'{copy}.png').write_bytes(data)
    rows[3][1] = rows[2][1]
    write(tmp_path / 'faces.csv', rows)
    return tmp_path


def write(path, rows, header=('file', 'age', 'subject')):
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows([header, *rows])


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def run(root, *args, source='faces.csv'):
    return make_splits.main([str(root / source), '--images', str(root / 'images'), *args])


def load(root, table, **where):
    return AgeDataset(table, data_root=str(root), data_prefix='images', where=where)


def items(dataset):
    return [dataset.get_data_info(k) for k in range(len(dataset))]


def test_holdout_by_subject_is_what_training_logs(root, capsys):
    assert run(root, '--fractions', '.5', '.25', '.25', '--group', 'subject') == 0
    rows = read(root / 'faces_split.csv')
    assert [row['file'] for row in rows] == [f'{k}.png' for k in range(60)]
    record = json.loads((root / 'faces_split.json').read_text())
    assert record['samples'] == 60
    assert (record['scheme'], record['seed'], record['group']) == ('holdout', 0, 'subject')
    assert record['identical_images'] == 2
    parts = {part: load(root, 'faces_split.csv', split=part) for part in ('train', 'val', 'test')}
    for part, dataset in parts.items():
        assert dataset.split_hash == record['parts'][part]['hash']
        assert len(dataset) == record['parts'][part]['samples']
    check_disjoint(items(parts['train']), items(parts['test']))
    check_disjoint(items(parts['train']), items(parts['val']))
    check_disjoint(items(parts['val']), items(parts['test']))
    output = capsys.readouterr().out
    assert record['hash'] in output
    assert '7.png = 50.png' in output.replace('50.png = 7.png', '7.png = 50.png')
    assert not list(root.glob('*.tmp'))


@pytest.mark.parametrize('extra', [[], ['--group', 'subject'], ['--stratify']])
def test_kfold(root, extra):
    assert run(root, '--scheme', 'kfold', '--folds', '3', *extra) == 0
    record = json.loads((root / 'faces_fold.json').read_text())
    assert list(record['parts']) == ['1', '2', '3']
    assert sum(part['samples'] for part in record['parts'].values()) == 60
    for fold in range(1, 4):
        others = [other for other in range(1, 4) if other != fold]
        train = load(root, 'faces_fold.csv', fold=others)
        test = load(root, 'faces_fold.csv', fold=fold)
        assert train.split_hash == record['parts'][str(fold)]['hash_of_the_others']
        assert len(train) + len(test) == 60
        if '--group' in extra:
            check_disjoint(items(train), items(test))
        else:
            strip = [{'img_path': item['img_path']} for item in items(train)]
            check_disjoint(strip, items(test))


def test_leave_one_subject_out_joins_persons_that_share_an_image(root):
    assert run(root, '--scheme', 'loso', '--group', 'subject', '--out', str(root / 'l.csv')) == 0
    rows = read(root / 'l.csv')
    fold = {row['subject']: row['fold'] for row in rows}
    assert all(fold[row['subject']] == row['fold'] for row in rows)
    # Images 2 and 3 are one, as are 7 and 50: of p2 and p3, and of p7 and p2.
    assert fold['p2'] == fold['p3'] == fold['p7']
    assert len(set(fold.values())) == 10


def test_contradictions_are_dropped_on_request(root):
    assert run(root, '--drop-contradictions') == 0
    files = {row['file'] for row in read(root / 'faces_split.csv')}
    assert files == {f'{k}.png' for k in range(60)} - {'7.png', '50.png'}
    record = json.loads((root / 'faces_split.json').read_text())
    assert record['contradictions'] == [['50.png', '7.png']]
    assert record['contradictions_dropped'] is True


def test_order_of_rows_and_seed(root):
    rows = [list(row.values()) for row in read(root / 'faces.csv')]
    write(root / 'shuffled.csv', [rows[k] for k in np.random.default_rng(3).permutation(60)])
    for source in ('faces.csv', 'shuffled.csv'):
        assert run(root, '--stratify', source=source) == 0
    assert run(root, '--stratify', '--seed', '1', '--out', str(root / 'other.csv')) == 0
    hashes = [
        json.loads((root / name).read_text())['hash']
        for name in ('faces_split.json', 'shuffled_split.json', 'other.json')
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_poses_and_columns(root):
    rows = [[f'{k}.png', str(k % 7), str(-k), f'{k % 4}', '1'] for k in range(8, 48)]
    write(root / 'poses.csv', rows, ('image', 'pitch', 'yaw', 'person', 'fold'))
    options = [
        '--file',
        'image',
        '--value',
        'pitch',
        'yaw',
        '--group',
        'person',
        '--scheme',
        'loso',
    ]
    assert run(root, *options, source='poses.csv') == 2
    assert run(root, *options, '--column', 'one_out', source='poses.csv') == 0
    assert {(row['person'], row['one_out']) for row in read(root / 'poses_fold.csv')} == {
        (str(k), str(k + 1)) for k in range(4)
    }


def test_reader(tmp_path):
    (tmp_path / 'images').mkdir()
    for k in range(20):
        image = Image.new('RGB', (4, 4), (k * 10, 0, 0))
        image.save(tmp_path / 'images' / f'{20 + k}_{k % 2}_0_201701161840246{k:02d}.png')
    options = [f'data_root={tmp_path}', 'data_prefix=images']
    out = str(tmp_path / 'folds.csv')
    args = ['--reader', 'UTKFace', '--options', *options, '--scheme', 'kfold', '--out', out]
    assert make_splits.main(args) == 0
    record = json.loads((tmp_path / 'folds.json').read_text())
    assert record['source'] == 'UTKFace'
    for cls in (UTKFace, AgeDataset):
        dataset = cls('folds.csv', data_root=str(tmp_path), data_prefix='images', where={'fold': 2})
        assert dataset.split_hash == record['parts']['2']['hash']
        assert dataset.get_data_info(0)['metadata']['gender'] in '01'


def test_person_exclusive_folds_of_head_poses_keep_the_face_boxes(tmp_path):
    for person in (1, 2, 3):
        for k, yaw in enumerate((-15, 0, 15)):
            path = tmp_path / f'Person{person:02d}' / f'person{person:02d}1{k:02d}+30{yaw:+d}.jpg'
            path.parent.mkdir(exist_ok=True)
            Image.new('RGB', (64, 48), (person * 50, k * 50, 0)).save(path)
            path.with_suffix('.txt').write_text(f'{path.name}\n\nFace\n{30 + k}\n20\n10\n12\n')
    out = str(tmp_path / 'folds.csv')
    args = ['--reader', 'Pointing04', '--options', f'data_root={tmp_path}', '--out', out]
    args += ['--value', 'pitch', 'yaw', '--scheme', 'kfold', '--folds', '3', '--group', 'subject']
    assert make_splits.main(args) == 0
    record = json.loads((tmp_path / 'folds.json').read_text())
    for fold, part in record['parts'].items():
        for cls in (Pointing04, HeadPoseDataset):
            dataset = cls(ann_file='folds.csv', data_root=str(tmp_path), where={'fold': fold})
            assert dataset.split_hash == part['hash']
            items = [dataset.get_data_info(k) for k in range(3)]
            assert len({item['subject'] for item in items}) == 1
            boxes = [item['face_box'] for item in items]
            assert boxes == [[25.0 + k, 14.0, 35.0 + k, 26.0] for k in range(3)]


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--scheme', 'loso'], '--scheme loso needs --group'),
        (['--scheme', 'kfold', '--folds', '1'], '--folds must be at least 2, got 1'),
        (['--scheme', 'kfold', '--folds', '99'], '60 samples in 58 groups are too few'),
        (['--fractions', '.5', '.1', '.1'], '--fractions must be positive and sum to 1'),
        (['--group', 'person'], "has no column 'person'; it has: file, age, subject"),
        (['--value', 'years'], "has no column 'years'"),
        (['--value', 'subject'], "subject 'p0' is not a number"),
        (['--file', 'image'], "has no column 'image'"),
        (['--images', 'nowhere'], '60 images do not exist, the first is nowhere'),
        (['--column', 'age'], "already has a column 'age'"),
        (['--reader', 'UTKFace'], 'give either a CSV file or --reader'),
    ],
)
def test_mistakes_end_in_one_message(root, capsys, args, message):
    assert run(root, *args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert not (root / 'faces_split.csv').exists()


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ([], 'give either a CSV file or --reader'),
        (['missing.csv'], 'annotation file missing.csv does not exist'),
        (['--reader', 'Faces', '--out', 'x.csv'], "there is no reader 'Faces'; there are "),
        (['--reader', 'check_disjoint', '--out', 'x.csv'], "no reader 'check_disjoint'"),
        (['--reader', 'FGNet'], '--reader needs --out'),
        (['--reader', 'FGNet', '--out', 'x.csv', '--options', 'folder=x'], "argument 'folder'"),
    ],
)
def test_mistakes_without_images(capsys, args, message):
    assert make_splits.main(args) == 2
    assert message in capsys.readouterr().err


def test_command_line(root):
    command = [sys.executable, str(ROOT / 'tools' / 'make_splits.py'), str(root / 'none.csv')]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert 'none.csv does not exist' in done.stderr
    assert 'Traceback' not in done.stderr

import csv
import json
import math
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
TINY = [
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.head.in_channels=64',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'train_dataloader.batch_size=8',
]
AGE = ROOT / 'configs' / 'dldl_age.py'
CSV = ROOT / 'configs' / 'age' / 'resnet18_dldl_csv.py'
SMALL = [
    *TINY,
    'train_dataloader.dataset.num_samples=16',
    'val_dataloader.dataset.num_samples=10',
    'test_dataloader.dataset.num_samples=10',
    'train_cfg.max_epochs=1',
]


def test_train_resume_test_and_browse(run_tool, tmp_path):
    work = tmp_path / 'work'
    done = run_tool('train', AGE, '--work-dir', work, '--cfg-options', *SMALL)
    assert done.code == 0, done.err
    assert (work / 'epoch_1.pth').is_file()
    pictures = list(work.rglob('val_distributions_*.png'))
    assert cv2.imread(str(pictures[0])).std() > 10

    longer = [o for o in SMALL if 'max_epochs' not in o] + ['train_cfg.max_epochs=2']
    done = run_tool('train', AGE, '--work-dir', work, '--resume', '--cfg-options', *longer)
    assert done.code == 0, done.err
    assert torch.load(work / 'epoch_2.pth', weights_only=True)['meta']['epoch'] == 2

    out = tmp_path / 'predictions.jsonl'
    options = ['--work-dir', work, '--out', out, '--cfg-options', *SMALL]
    done = run_tool('test', AGE, work / 'epoch_2.pth', *options)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 10
    labels = np.arange(1, 86)
    for row in rows:
        assert math.isclose(sum(row['pred_score']), 1, rel_tol=1e-5)
        assert math.isclose(np.dot(row['pred_score'], labels), row['pred_value'], rel_tol=1e-4)

    metrics = tmp_path / 'metrics.json'
    options = ['--work-dir', work, '--out', metrics, '--cfg-options', *SMALL]
    assert run_tool('test', AGE, work / 'epoch_2.pth', *options).code == 0
    mae = np.mean([abs(row['pred_value'] - row['gt_value']) for row in rows])
    assert math.isclose(json.loads(metrics.read_text())['age/mae'], mae, rel_tol=1e-5)

    done = run_tool('test', AGE, work / 'epoch_2.pth', '--out', 'x.pkl')
    assert (done.code, 'expected a file ending in .jsonl or .json' in done.err) == (2, True)

    wider = [*SMALL, 'model.backbone.base_channels=16', 'model.head.in_channels=128']
    done = run_tool('test', AGE, work / 'epoch_2.pth', '--work-dir', work, '--cfg-options', *wider)
    assert (done.code, 'the checkpoint is of another model' in done.err) == (2, True), done.err

    face = tmp_path / 'face.png'
    cv2.imwrite(str(face), np.full((70, 60, 3), 90, np.uint8))
    out = tmp_path / 'face.jsonl'
    done = run_tool('infer', AGE, work / 'epoch_2.pth', face, '--out', out, '--cfg-options', *TINY)
    assert done.code == 0, done.err
    row = json.loads(out.read_text())
    assert math.isclose(np.dot(row['pred_score'], labels), row['pred_value'], rel_tol=1e-4)
    assert f'face.png {row["pred_value"]:.1f} ± {row["pred_std"]:.1f} (90 %' in done.out
    missing = tmp_path / 'no.png'
    done = run_tool('infer', AGE, work / 'epoch_2.pth', missing, '--cfg-options', *TINY)
    assert (done.code, 'there is no image' in done.err) == (2, True), done.err

    changed = [*SMALL, 'model.head.codec.stop=90']
    done = run_tool(
        'test', AGE, work / 'epoch_2.pth', '--work-dir', work, '--cfg-options', *changed
    )
    assert done.code == 2
    assert 'was trained with the label set (1) to (85) of 85 labels' in done.err


def test_browse_dataset(run_tool, tmp_path):
    out = tmp_path / 'sub' / 'grid.png'
    done = run_tool('browse_dataset', AGE, '--number', 5, '--out', out)
    assert done.code == 0, done.err
    picture = cv2.imread(str(out))
    assert picture.shape[0] > 600
    assert picture.std() > 20
    assert run_tool('browse_dataset', AGE, '--number', 0).code == 2


@pytest.fixture
def faces(tmp_path):
    """A folder with six images, train.csv and val.csv."""
    root = tmp_path / 'faces'
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        noise = rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'{i}.jpg'), noise)
    rows = [(f'{i}.jpg', 20 + i, 2.5) for i in range(6)]
    for name in ('train', 'val'):
        write_rows(root / f'{name}.csv', rows)
    return root


def write_rows(path, rows, header=('file', 'age', 'sigma')):
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows([header, *rows])


def train_csv(run_tool, root, work, *options):
    return run_tool(
        *('train', CSV, '--data-root', root, '--work-dir', work, '--cfg-options', *TINY),
        *('train_cfg.max_epochs=1', 'train_dataloader.batch_size=4', *options),
    )


def test_own_csv_trains(run_tool, faces, tmp_path):
    done = train_csv(run_tool, faces, tmp_path / 'w')
    assert done.code == 0, done.err
    assert 'age/epsilon_error' in done.out + done.err


def break_row(position, value):
    def change(root):
        rows = [[f'{i}.jpg', 20 + i, 2.5] for i in range(6)]
        rows[2][position] = value
        write_rows(root / 'train.csv', rows)

    return change


def truncate(root):
    data = (root / '3.jpg').read_bytes()
    (root / '3.jpg').write_bytes(data[: len(data) // 2])


MISTAKES = {
    'no csv': (lambda root: (root / 'train.csv').unlink(), 'train.csv'),
    'empty csv': (lambda root: (root / 'train.csv').write_text(''), 'train.csv'),
    'header only': (lambda root: write_rows(root / 'train.csv', []), 'train.csv'),
    'no age column': (
        lambda root: write_rows(root / 'train.csv', [('0.jpg', 3)], ('file', 'years')),
        'years',
    ),
    'text': (break_row(1, 'young'), "train.csv:4.*'young'"),
    'nan': (break_row(1, 'nan'), 'train.csv:4.*nan'),
    'infinite': (break_row(1, 'inf'), 'train.csv:4.*inf'),
    'outside': (break_row(1, 130), 'train.csv:4.*130 lies outside the label set 1 to 116'),
    'sigma 0': (break_row(2, 0), 'train.csv:4.*0'),
    'sigma nan': (break_row(2, 'nan'), 'train.csv:4.*nan'),
    'no image': (lambda root: (root / '3.jpg').unlink(), '3.jpg'),
    'empty image': (lambda root: (root / '3.jpg').write_bytes(b''), '3.jpg'),
    'truncated image': (truncate, '3.jpg'),
    'web page': (lambda root: (root / '3.jpg').write_bytes(b'<html>\xff\xd9'), '3.jpg'),
    'folder for a csv': (
        lambda root: ((root / 'train.csv').unlink(), (root / 'train.csv').mkdir()),
        'train.csv is a folder',
    ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_mistakes_in_the_data_end_before_training(name, run_tool, faces, tmp_path):
    change, pattern = MISTAKES[name]
    change(faces)
    done = train_csv(run_tool, faces, tmp_path / 'w')
    last = done.err.strip().splitlines()[-1]
    assert done.code == 2
    assert last.startswith('error: ')
    assert 'Traceback' not in done.err
    assert re.search(pattern, last), last
    assert not list((tmp_path / 'w').glob('*.pth'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['val_evaluator.codec.type=GaussianLabelCodec'],
            'stop is 116.0 in model.head, but 85.0 in val_evaluator',
        ),
        (['model.head.codec.step=0'], 'step must be greater than 0, got 0'),
        (['model.head.codec.stop=0'], 'stop must be greater than start'),
        (['model.head.codec.decode=mean'], "unknown decoding rule 'mean'"),
        (['model.head.codec.shape=cauchy'], "unknown shape 'cauchy'"),
        (['model.head.codec.sigm=3'], "unexpected keyword argument 'sigm'"),
        (['train_dataloader.dataset.on_bad_image=guess'], 'on_bad_image'),
        (['train_dataloader.dataset.min_sigma=abc'], "min_sigma must be positive, got 'abc'"),
        (['model.head.losses.0.loss_weight=abc'], "loss_weight must be a number, got 'abc'"),
        (['val_evaluator.decode=mode'], "AgeMetric: unknown decoding rule 'mode'"),
        (['val_evaluator.cs=abc'], "cs must be thresholds of at least 0 years, got 'abc'"),
        (['trian_cfg.max_epochs=3'], 'no setting of a runner; did you mean train_cfg?'),
        (['max_epochs=3'], 'Variables of a config file are copied to where they are used'),
    ],
)
def test_mistakes_in_the_config_end_before_training(options, message, run_tool, faces, tmp_path):
    done = train_csv(run_tool, faces, tmp_path / 'w', *options)
    last = done.err.strip().splitlines()[-1]
    assert done.code == 2
    assert last.startswith('error: ')
    assert message in last, last


def test_options_instead_of_errors(run_tool, faces, tmp_path):
    truncate(faces)
    rows = [[f'{i}.jpg', 20 + 25 * i, 2.5] for i in range(6)]
    write_rows(faces / 'train.csv', rows)
    cfg = tmp_path / 'clip.py'
    cfg.write_text(f"""
_base_ = {str(CSV)!r}
train_dataloader = dict(dataset=dict(on_bad_image='skip'))
val_dataloader = dict(dataset=dict(on_bad_image='skip'))
test_dataloader = val_dataloader
model = dict(head=dict(codec=dict(clip=True)))
""")
    done = run_tool(
        *('train', cfg, '--data-root', faces, '--work-dir', tmp_path / 'w', '--cfg-options', *TINY),
        *('train_cfg.max_epochs=1', 'train_dataloader.batch_size=4'),
    )
    assert done.code == 0, done.err
    assert '3.jpg' in done.out + done.err


def test_missing_files_of_the_command_line(run_tool, tmp_path):
    done = run_tool('train', tmp_path / 'none.py')
    assert (done.code, 'there is no config file' in done.err) == (2, True)
    done = run_tool('train', CSV, '--data-root', tmp_path / 'none')
    assert (done.code, 'there is no folder' in done.err) == (2, True)
    done = run_tool('train', AGE, '--resume', tmp_path / 'none.pth', '--work-dir', tmp_path)
    assert (done.code, 'there is no checkpoint' in done.err) == (2, True)
    done = run_tool('test', AGE, tmp_path / 'none.pth')
    assert (done.code, 'there is no checkpoint' in done.err) == (2, True)


class Evil:
    def __reduce__(self):
        return os.system, ('echo pwned',)


def test_foreign_and_damaged_checkpoints_are_refused(run_tool, tmp_path):
    torch.save(dict(state_dict={}, payload=Evil()), tmp_path / 'evil.pth')
    done = run_tool(
        'test', AGE, tmp_path / 'evil.pth', '--work-dir', tmp_path, '--cfg-options', *SMALL
    )
    assert done.code == 2
    assert 'names the global posix.system' in done.err
    torch.save(dict(state_dict={'x': torch.zeros(1000)}), tmp_path / 'other.pth')
    whole = (tmp_path / 'other.pth').read_bytes()
    for name, content, message in (
        ('text', b'not a checkpoint', 'text.pth is damaged or not a checkpoint'),
        ('empty', b'', 'empty.pth is damaged or not a checkpoint'),
        ('cut', whole[: len(whole) // 2], 'cut.pth is damaged or not a checkpoint'),
        ('other', whole, 'is of another model: it lacks'),
    ):
        path = tmp_path / f'{name}.pth'
        path.write_bytes(content)
        for tool, *given in (
            ('test', path, '--work-dir', tmp_path),
            ('train', '--resume', path, '--work-dir', tmp_path),
            ('infer', path, tmp_path),
        ):
            done = run_tool(tool, AGE, *given, '--cfg-options', *SMALL)
            assert (done.code, message in done.err) == (2, True), (tool, name, done.err)


def test_a_checkpoint_of_another_label_set(run_tool, faces, tmp_path):
    work = tmp_path / 'w'
    assert train_csv(run_tool, faces, work).code == 0
    done = run_tool('test', AGE, work / 'epoch_1.pth', '--work-dir', work, '--cfg-options', *SMALL)
    assert done.code == 2
    assert 'was trained with the label set (1) to (116) of 116 labels' in done.err


def test_views_of_each_image_are_averaged(run_tool, tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f'{i}.png', 10 * i, 5 - 10 * i) for i in range(6)]
    for name in ('plain', 'mirrored'):
        folder = tmp_path / name
        (folder / 'images').mkdir(parents=True)
        for split in ('train', 'val'):
            write_rows(folder / f'{split}.csv', rows, ('file', 'pitch', 'yaw'))
    for file, *_ in rows:
        image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / 'plain' / 'images' / file), image)
        cv2.imwrite(str(tmp_path / 'mirrored' / 'images' / file), image[:, ::-1])
    config = tmp_path / 'pose.py'
    config.write_text(
        f"""
_base_ = ['{ROOT / 'configs' / 'pose' / 'resnet18_dldl_csv.py'}']
tta_model = dict(type='AveragingTTA')
flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
views = [flips, [dict(type='FlipHeadPose')], [_base_.pack]]
tta_pipeline = [*_base_.test_pipeline[:-2], dict(type='TestTimeAug', transforms=views)]
"""
    )
    work = tmp_path / 'work'
    data = ('--data-root', tmp_path / 'plain', '--work-dir', work)
    options = ('--cfg-options', *TINY, 'train_cfg.max_epochs=1', 'param_scheduler.total_steps=1')
    # Without a GPU mixed precision is bfloat16.
    done = run_tool('train', config, '--amp', '--no-validate', *data, *options)
    assert done.code == 0, done.err
    predicted = {}
    for name, root, extra in (
        *(('plain', 'plain', []), ('mirrored', 'mirrored', []), ('views', 'plain', ['--tta'])),
    ):
        out = tmp_path / f'{name}.jsonl'
        data = ('--data-root', tmp_path / root, '--work-dir', work, '--out', out)
        done = run_tool('test', config, work / 'epoch_1.pth', *extra, *data, *options)
        assert done.code == 0, done.err
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        predicted[name] = np.array([line['pred_value'] for line in lines])
        assert [line['gt_value'] for line in lines] == [[float(p), float(y)] for _, p, y in rows]
    back = predicted['mirrored'] * [1, -1]
    assert np.abs(predicted['plain'] - back).max() > 0.01
    np.testing.assert_allclose(predicted['views'], (predicted['plain'] + back) / 2, atol=2e-3)

    plain = ROOT / 'configs' / 'pose' / 'resnet18_dldl_csv.py'
    done = run_tool('test', plain, work / 'epoch_1.pth', '--tta')
    assert (done.code, 'has no tta_model or no tta_pipeline' in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(', 'bad.py: SyntaxError'),
        ('model = dict(depth=deep)', "bad.py: NameError: name 'deep' is not defined"),
        ('lr = 1 / 0', 'bad.py: ZeroDivisionError: division by zero'),
        ("_base_ = 'none.py'", 'none.py'),
        ('lr = 1', 'bad.py has no model'),
    ],
)
def test_mistakes_in_a_config_file_name_it(text, message, run_tool, tmp_path):
    (tmp_path / 'bad.py').write_text(text)
    done = run_tool('train', tmp_path / 'bad.py', '--work-dir', tmp_path)
    assert (done.code, message in done.err) == (2, True), done.err


def test_mistakes_on_the_command_line(run_tool, tmp_path, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    (tmp_path / 'file').touch()
    for arguments, message in (
        (('--work-dir', tmp_path / 'file'), '--work-dir: cannot make the folder'),
        (('--cfg-options', 'abc'), "--cfg-options: expected KEY=VALUE, got 'abc'"),
        (('--launcher', 'pytorch', '--work-dir', tmp_path), 'start the tool by torchrun'),
    ):
        done = run_tool('train', AGE, *arguments)
        assert (done.code, message in done.err) == (2, True), done.err


def test_two_processes_on_a_cpu_measure_what_one_does(run_tool, tmp_path):
    options = ['--cfg-options', *SMALL, 'test_dataloader.batch_size=3']
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    env = {
        **os.environ,
        'PATH': path,
        'PORT': str(port),
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
    }
    for tool, *given in (
        ('train', AGE, 2, '--work-dir', tmp_path),
        ('test', AGE, tmp_path / 'epoch_1.pth', 2, '--work-dir', tmp_path / 'both'),
    ):
        if tool == 'test':
            given += ['--out', tmp_path / 'two.json', tmp_path / 'two.jsonl']
        script = ROOT / 'tools' / f'dist_{tool}.sh'
        command = [*map(str, ['bash', script, *given, *options])]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    one = ['--out', tmp_path / 'one.json', tmp_path / 'one.jsonl']
    done = run_tool(
        'test', AGE, tmp_path / 'epoch_1.pth', '--work-dir', tmp_path / 'alone', *one, *options
    )
    assert done.code == 0, done.err
    two, one = (json.loads((tmp_path / f'{name}.json').read_text()) for name in ('two', 'one'))
    assert two == pytest.approx(one, rel=1e-5)
    lines = (tmp_path / 'two.jsonl').read_text().splitlines()
    assert [json.loads(line)['sample_idx'] for line in lines] == list(range(10))

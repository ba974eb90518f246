import itertools
import os
import pickle
import subprocess
import sys

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dldl_mm.hooks import SafeCheckpointHook, find_resumable_checkpoint
from dldl_mm.hooks.checkpoint import AtomicLocalBackend

_NUMBERS = itertools.count()


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Linear(1, 1)

    def forward(self, x, y, mode='tensor'):
        prediction = self.weight(x)
        return dict(loss=(prediction - y).square().mean()) if mode == 'loss' else prediction


class Falling:
    """An evaluator's metric that gets better in the epochs named."""

    def __init__(self, scores):
        self.scores = iter(scores)

    def build(self):
        from mmengine.evaluator import BaseMetric

        scores = self.scores

        class Score(BaseMetric):
            def process(self, data_batch, data_samples):
                self.results.append(0)

            def compute_metrics(self, results):
                return dict(score=next(scores))

        return Score()


def make_runner(work_dir, epochs=3, scores=None, resume=False, schedule=None, **checkpoint):
    data = TensorDataset(torch.arange(8.0).reshape(-1, 1), torch.arange(8.0).reshape(-1, 1) * 2)
    loader = DataLoader(data, batch_size=4, sampler=DefaultSampler(data))
    validation = {}
    if scores is not None:
        validation = dict(
            val_dataloader=DataLoader(data, batch_size=4),
            val_cfg=dict(),
            val_evaluator=[Falling(scores).build()],
        )
        checkpoint = dict(save_best='score', rule='less', **checkpoint)
    return Runner(
        Line(),
        str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        param_scheduler=schedule,
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01)),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1, **checkpoint)),
        resume=resume,
        default_scope=None,
        # mmengine keeps a message hub per name, and the name's time stamp counts whole seconds.
        experiment_name=f'line_{next(_NUMBERS)}',
        **validation,
    )


def test_a_runners_checkpoint_resumes_with_weights_only(tmp_path):
    make_runner(tmp_path, epochs=2).train()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['epoch'] == 2
    assert len(checkpoint['message_hub']['log_scalars']) > 0
    runner = make_runner(tmp_path, epochs=3, resume=True)
    runner.train()
    assert runner.epoch == 3
    assert (tmp_path / 'epoch_3.pth').is_file()


SCHEDULES = {
    'ConstantLR': {},
    'CosineAnnealingLR': dict(T_max=4),
    'CosineRestartLR': dict(periods=[2, 2], restart_weights=[1, 0.5], eta_min=0),
    'ExponentialLR': dict(gamma=0.9),
    'LinearLR': {},
    'MultiStepLR': dict(milestones=[1, 2]),
    'OneCycleLR': dict(eta_max=0.1, total_steps=8),
    'PolyLR': {},
    'StepLR': dict(step_size=1),
}


def test_every_schedule_of_mmengine_is_tried():
    import mmengine.optim.scheduler as schedules

    names = {name for name in dir(schedules) if name.endswith('LR')}
    assert names - set(SCHEDULES) == {'ReduceOnPlateauLR'}  # needs a metric: tried below


@pytest.mark.parametrize('name', [*SCHEDULES, 'ReduceOnPlateauLR'])
def test_the_state_of_a_schedule_loads(name, tmp_path):
    if name == 'ReduceOnPlateauLR':
        schedule = dict(type=name, monitor='score')
        runner = make_runner(tmp_path, 2, scores=[2.0, 1.0], schedule=schedule)
    else:
        schedule = dict(type=name, by_epoch=name != 'OneCycleLR', **SCHEDULES[name])
        runner = make_runner(tmp_path, 2, schedule=schedule)
    runner.train()
    states = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['param_schedulers']
    assert states[0]['last_step'] >= 0


class Evil:
    def __reduce__(self):
        return os.system, ('echo pwned',)


def test_a_foreign_global_is_refused_by_name(tmp_path):
    torch.save(dict(state_dict={}, payload=Evil()), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'GLOBAL (posix|nt|os)\.system'):
        torch.load(tmp_path / 'evil.pth', weights_only=True)


class Escape:
    def __reduce__(self):
        return getattr, (HistoryBuffer, 'statistics')


def test_the_stand_in_for_getattr_reads_nothing_else(tmp_path):
    torch.save(dict(payload=Escape()), tmp_path / 'escape.pth')
    with pytest.raises(pickle.UnpicklingError, match='GLOBAL'):
        torch.load(tmp_path / 'escape.pth', weights_only=True)


@pytest.mark.parametrize('package', ['numpy.core', 'numpy._core'])
def test_checkpoints_of_either_numpy(tmp_path, package):
    import numpy as np

    torch.save(dict(array=np.arange(3.0), scalar=np.float64(2.5)), tmp_path / 'new.pth')
    raw = (tmp_path / 'new.pth').read_bytes()
    here = np.empty(0).__reduce__()[0].__module__.rpartition('.')[0]
    if len(package) != len(here):
        # The archive stores lengths: rewrite the pickle inside instead of its bytes.
        import zipfile

        with (
            zipfile.ZipFile(tmp_path / 'new.pth') as old,
            zipfile.ZipFile(tmp_path / 'other.pth', 'w', zipfile.ZIP_STORED) as new,
        ):
            for info in old.infolist():
                data = old.read(info)
                if info.filename.endswith('data.pkl'):
                    data = data.replace(f'c{here}.'.encode(), f'c{package}.'.encode())
                new.writestr(info, data)
        assert package.encode() in (tmp_path / 'other.pth').read_bytes()
        loaded = torch.load(tmp_path / 'other.pth', weights_only=True)
    else:
        assert here.encode() in raw
        loaded = torch.load(tmp_path / 'new.pth', weights_only=True)
    assert loaded['array'].tolist() == [0, 1, 2]
    assert loaded['scalar'] == 2.5


def test_the_newest_are_kept(tmp_path):
    make_runner(tmp_path, epochs=5, max_keep_ckpts=2).train()
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == ['epoch_4.pth', 'epoch_5.pth']
    assert find_resumable_checkpoint(tmp_path).name == 'epoch_5.pth'


def test_the_best_is_kept(tmp_path):
    runner = make_runner(tmp_path, 4, scores=[3.0, 1.0, 2.0, 0.5], max_keep_ckpts=1)
    runner.train()
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == [
        'best_score_epoch_4.pth',
        'epoch_4.pth',
    ]
    assert runner.message_hub.get_info('best_score') == 0.5


def test_no_new_best_keeps_the_old_one(tmp_path):
    make_runner(tmp_path, 3, scores=[1.0, 2.0, 3.0], max_keep_ckpts=1).train()
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == [
        'best_score_epoch_1.pth',
        'epoch_3.pth',
    ]


def test_old_checkpoints_go_after_the_new_one_is_whole(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(
        AtomicLocalBackend,
        'remove',
        lambda self, path: (events.append(('remove', os.path.basename(path))), os.remove(path)),
    )
    replace = os.replace
    monkeypatch.setattr(
        os,
        'replace',
        lambda a, b: (events.append(('write', os.path.basename(b))), replace(a, b)),
    )
    make_runner(tmp_path, 2, scores=[2.0, 1.0], max_keep_ckpts=1).train()
    assert events.index(('write', 'epoch_2.pth')) < events.index(('remove', 'epoch_1.pth'))
    best = ('write', 'best_score_epoch_2.pth')
    assert events.index(best) < events.index(('remove', 'best_score_epoch_1.pth'))


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    def fail(self, obj, path):
        with open(path, 'wb') as file:
            file.write(obj[:10])
        raise OSError(28, 'No space left on device')

    target = tmp_path / 'epoch_1.pth'
    AtomicLocalBackend().put(b'whole', target)
    monkeypatch.setattr('mmengine.fileio.LocalBackend.put', fail)
    with pytest.raises(OSError, match='No space left'):
        AtomicLocalBackend().put(b'new' * 100, target)
    assert target.read_bytes() == b'whole'
    assert list(tmp_path.iterdir()) == [target]


def test_resumable_checkpoint_without_a_usable_pointer(tmp_path):
    assert find_resumable_checkpoint(tmp_path) is None
    for epoch in (2, 10, 9):
        (tmp_path / f'epoch_{epoch}.pth').touch()
    (tmp_path / 'epoch_best.pth').touch()
    assert find_resumable_checkpoint(tmp_path).name == 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').touch()
    assert find_resumable_checkpoint(tmp_path).name == 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').write_text('/moved/away/epoch_9.pth')
    assert find_resumable_checkpoint(tmp_path).name == 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_9.pth'))
    assert find_resumable_checkpoint(tmp_path).name == 'epoch_9.pth'


def test_importing_the_package_is_enough_to_load(tmp_path):
    make_runner(tmp_path, epochs=1).train()
    code = (
        'import dldl_mm.hooks, torch; '
        f"print(torch.load({str(tmp_path / 'epoch_1.pth')!r})['meta']['iter'])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '2'


def test_other_backends_are_left_alone():
    hook = SafeCheckpointHook(backend_args=dict(backend='local'))
    assert hook.backend_args == dict(backend='local')

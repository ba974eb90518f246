"""mmseg beside mmcv-lite, and beside a mmcv with compiled operators."""

import importlib
import importlib.util
import subprocess
import sys

import mmcv
import pytest
from mmengine.utils.dl_utils import mmcv_full_available

from dldl_mm.seg._mmcv_ops import compiled_ops_stand_in

LITE = """
import sys
import dldl_mm.seg
import mmcv, mmcv.ops, torch
from mmengine.utils.dl_utils import mmcv_full_available
from mmseg.registry import MODELS
assert 'mmcv._ext' not in sys.modules
assert not hasattr(mmcv, '_ext')
assert mmcv_full_available() is False
assert MODELS.get('mmseg.FCNHead') is not None and MODELS.get('NeighbourhoodKLLoss') is not None
try:
    mmcv.ops.nms(torch.rand(3, 4), torch.rand(3), 0.5)
except ImportError as error:
    print(error)
"""


@pytest.fixture(scope='module')
def lite():
    if importlib.util.find_spec('mmcv._ext') is not None:
        pytest.skip('a full mmcv is installed')


def test_stand_in_is_gone_and_its_operators_name_mmcv(lite):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', LITE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nms is one of mmcv's compiled operators")
    assert 'install mmcv' in done.stdout


def test_a_real_extension_is_left_alone(lite, tmp_path, monkeypatch):
    (tmp_path / '_ext.py').write_text('compiled = True')
    monkeypatch.setattr(mmcv, '__path__', [*mmcv.__path__, str(tmp_path)])
    try:
        with compiled_ops_stand_in():
            extension = importlib.import_module('mmcv._ext')
        assert extension.compiled
        assert sys.modules['mmcv._ext'] is extension
        assert mmcv_full_available()
    finally:
        del sys.modules['mmcv._ext'], mmcv._ext


def test_stand_in_is_gone_after_a_failing_import(lite):
    with pytest.raises(RuntimeError, match='half way'), compiled_ops_stand_in():  # noqa: PT012
        assert callable(sys.modules['mmcv._ext'].any_operator)
        raise RuntimeError('half way')
    assert 'mmcv._ext' not in sys.modules

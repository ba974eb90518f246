"""Fixtures of the whole suite."""

import importlib.util
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from PIL import Image

# Two small convolutions at a time are faster on one thread each, and quieter on shared machines.
os.environ.setdefault('OMP_NUM_THREADS', '2')
# Tests must not depend on what the user's shell points to.
os.environ.pop('DLDL_DATA_ROOT', None)

ROOT = Path(__file__).parents[1]
DEVICES = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def subclasses(parent):
    """All classes below one: each manager class keeps its own instances."""
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.fixture
def run_tool(monkeypatch, capsys):
    def run(name, *args):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        # A process runs one tool: what mmengine keeps per process belongs to the run before.
        for manager in (MMLogger, MessageHub, Visualizer, *subclasses(Visualizer)):
            manager._instance_dict.clear()
        capsys.readouterr()
        code = 0
        try:
            tool.main()
        except SystemExit as error:
            code = error.code
        finally:
            monkeypatch.delenv('DLDL_DATA_ROOT', raising=False)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def write_images(tmp_path):
    """Write small images, each with its own content, and return their folder."""

    def write(*names, folder='images', color=None):
        for number, name in enumerate(names):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = color if color is not None else hash_color(name, number)
            Image.new('RGB', (9, 7), shade).save(path)
        return tmp_path / folder

    return write


def hash_color(name, number):
    return (number * 16 % 256, len(name) * 8 % 256, sum(name.encode()) % 256)


@pytest.fixture
def log_lines():
    """The messages that are logged during the test."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)

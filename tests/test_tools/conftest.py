"""Run a command line tool in this process and see what a user sees."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_tool(monkeypatch, capsys):
    def run(name, *args):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        # A process runs one tool: what mmengine keeps per process belongs to the run before.
        for manager in (MMLogger, MessageHub, Visualizer):
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

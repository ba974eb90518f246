"""Fixtures of the whole suite."""

import os

import pytest
import torch

# Two small convolutions at a time are faster on one thread each, and quieter on shared machines.
os.environ.setdefault('OMP_NUM_THREADS', '2')
# Tests must not depend on what the user's shell points to.
os.environ.pop('DLDL_DATA_ROOT', None)

DEVICES = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)

import logging

import pytest
from mmengine.logging import MMLogger
from PIL import Image


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

"""Checks of the options that the rendered data sets share."""

import numbers
from typing import Any

SPLITS = ('train', 'val', 'test')


def check_integer(owner: str, name: str, value: Any, least: int) -> int:
    """Return an integer option of at least ``least``; the error names its owner."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f'{owner}: {name} must be an integer, got {value!r}')
    if value < least:
        raise ValueError(f'{owner}: {name} must be at least {least}, got {value}')
    return int(value)


def check_choice(owner: str, name: str, value: Any, options: tuple[str, ...]) -> str:
    """Return an option that must be one of several; the error names its owner."""
    if value not in options:
        raise ValueError(f'{owner}: {name} must be one of {options}, got {value!r}')
    return value

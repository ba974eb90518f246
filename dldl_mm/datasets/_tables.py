"""Reading annotation tables, with messages that name the file and the row."""

import csv
import math
import os
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One row of a table: where it stands (``file:line``) and its cells by column name."""

    source: str
    cells: dict[str, str]


def require_file(path: str) -> None:
    """Refuse an annotation file that does not exist.

    Raises:
        FileNotFoundError: There is none, or a folder in its place.
    """
    if not os.path.isfile(path):
        what = 'is a folder' if os.path.isdir(path) else 'does not exist'
        raise FileNotFoundError(f'annotation file {path} {what}')


def find_delimiter(line: str) -> str:
    """The delimiter of a table by its first line: semicolon or tab if there is no comma.

    Example:
        >>> find_delimiter('file;age')
        ';'
    """
    return next((mark for mark in ',;\t' if mark in line), ',')


def read_table(
    path: str, delimiter: str | None = None, header: Iterable[str] | None = None
) -> tuple[list[str], list[Row]]:
    """Read a delimited text file (UTF-8, with or without a byte order mark).

    Args:
        path: The file.
        delimiter: One character; that of the first line by :func:`find_delimiter`, if not given.
        header: Column names of a file that has no header line.

    Returns:
        The column names, and the rows; blank lines are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an empty file, a header without rows, a repeated column name, or a row
            with more or fewer cells than there are columns.
    """
    name = os.path.basename(path)
    require_file(path)
    columns = list(header) if header is not None else None
    rows: list[Row] = []
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            if delimiter is None:
                delimiter = find_delimiter(file.readline())
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                if columns is None:
                    columns = cells
                    repeated = {repr(name) for name in columns if columns.count(name) > 1}
                    if repeated:
                        raise ValueError(
                            f'{path}: the column {", ".join(sorted(repeated))} occurs more than once'
                        )
                    continue
                source = f'{name}:{reader.line_num}'
                if len(cells) != len(columns):
                    raise ValueError(
                        f'{source}: {len(cells)} cells, but the table has {len(columns)} columns '
                        f'({", ".join(columns)})'
                    )
                rows.append(Row(source, dict(zip(columns, cells, strict=True))))
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text: {error}') from None
    except csv.Error as error:
        raise ValueError(f'{name}:{reader.line_num}: not a valid table: {error}') from None
    if columns is None:
        raise ValueError(f'{path} is empty; a header line and at least one row are expected')
    if not rows:
        raise ValueError(f'{path} has a header but no rows')
    return columns, rows


def parse_number(value: object, name: str, source: str) -> float:
    """Convert a cell, or a JSON value, to a finite float.

    Args:
        value: Text or number.
        name: What the value is, for the message.
        source: Where it stands, for the message.

    Raises:
        ValueError: if it is not a number, or NaN or infinite.

    Example:
        >>> parse_number('24.7', 'age', 'train.csv:2')
        24.7
        >>> parse_number('nan', 'age', 'train.csv:3')
        Traceback (most recent call last):
        ...
        ValueError: train.csv:3: age 'nan' is not finite
    """
    # float() takes '1_0' for 10, and a bool is a number to Python; neither is one in a table.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and '_' not in value):
        raise ValueError(f'{source}: {name} {value!r} is not a number')
    try:
        number = float(value)  # type: ignore[arg-type]
    except ValueError:
        what = 'is empty' if value == '' else f'{value!r} is not a number'
        raise ValueError(f'{source}: {name} {what}') from None
    if not math.isfinite(number):
        raise ValueError(f'{source}: {name} {value!r} is not finite')
    return number

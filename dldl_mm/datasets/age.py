"""Ages from a CSV file."""

from collections.abc import Mapping, Sequence
from typing import Any

from dldl_mm.datasets._tables import Row, parse_number, read_table
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class AgeDataset(LabelDistributionDataset):
    """Ages in years from a CSV file with a header line.

    ============= ========================================================================
    column        meaning
    ============= ========================================================================
    file          image file, relative to ``data_prefix``
    age or mean   age in years, a fraction is normal for a mean of ratings
    sigma or std  optional: standard deviation in years, > 0
    votes         optional: the single ratings, separated by spaces or semicolons
    subject       optional: name or number of the person
    any other     kept as text in ``metadata``; ``where`` can select by it
    ============= ========================================================================

    Standard deviation and votes are annotated in all rows or in none: a column that is empty
    throughout counts as absent, a column that is empty in some rows is refused. (Selecting rows by
    ``where`` comes first.)

    Args:
        ann_file: The CSV file.
        columns: Column names that differ from those above: ``dict(file='path', age='real_age')``;
            keys are 'file', 'age', 'sigma', 'votes', 'subject'. None leaves an optional column
            unused.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a missing or ambiguous column, or an age that is not a finite number;
            further errors in :class:`LabelDistributionDataset`.
    """

    value_name = 'age'
    # What each role may be called in the file.
    COLUMNS: Mapping[str, Sequence[str]] = {
        'file': ('file',),
        'age': ('age', 'mean'),
        'sigma': ('sigma', 'std'),
        'votes': ('votes',),
        'subject': ('subject',),
    }
    REQUIRED: Sequence[str] = ('file', 'age')

    def __init__(
        self, ann_file: str, *, columns: Mapping[str, str | None] | None = None, **kwargs: Any
    ) -> None:
        self.columns = dict(columns or {})
        for role, name in self.columns.items():
            if role not in self.COLUMNS:
                raise ValueError(
                    f'columns: unknown key {role!r}; the keys are {", ".join(self.COLUMNS)}'
                )
            if name is None and role in self.REQUIRED:
                raise ValueError(f'columns: {role!r} must name a column, got None')
        super().__init__(ann_file, **kwargs)

    def read_rows(self) -> tuple[list[str], list[Row]]:
        """Read the annotation file: its column names and rows."""
        return read_table(self.ann_file)

    def load_data_list(self) -> list[dict]:
        """Read the ages; see :class:`LabelDistributionDataset`."""
        header, rows = self.read_rows()
        names = {role: self._find_column(role, header) for role in self.COLUMNS}
        further = [name for name in header if name not in names.values()]
        return [self._parse_row(row, names, further) for row in rows]

    def _find_column(self, role: str, header: Sequence[str]) -> str | None:
        if role in self.columns:
            name = self.columns[role]
            if name is not None and name not in header:
                raise ValueError(
                    f'{self.ann_file} has no column {name!r}; it has: {", ".join(header)}'
                )
            return name
        choices = self.COLUMNS[role]
        found = [name for name in choices if name in header]
        if len(found) > 1:
            raise ValueError(
                f'{self.ann_file} has the columns {" and ".join(found)}; '
                f'say which to use by columns=dict({role}=…)'
            )
        if not found and role in self.REQUIRED:
            raise ValueError(
                f'{self.ann_file} has no column {" or ".join(map(repr, choices))}; '
                f'it has: {", ".join(header)} (columns=dict({role}=…) names another one)'
            )
        return found[0] if found else None

    def _parse_row(
        self, row: Row, names: Mapping[str, str | None], further: Sequence[str]
    ) -> dict[str, Any]:
        source, cells = row
        text = {role: cells[name] if name else '' for role, name in names.items()}
        if not text['file']:
            raise ValueError(f'{source}: the column {names["file"]!r} is empty')
        item: dict[str, Any] = {
            'img_path': self.image_path(text['file']),
            'gt_value': parse_number(text['age'], self.value_name, source),
            'source': source,
        }
        if text['sigma']:
            item['gt_sigma'] = parse_number(text['sigma'], 'standard deviation', source)
        if text['votes']:
            votes = text['votes'].replace(';', ' ').split()
            item['gt_votes'] = [parse_number(vote, 'vote', source) for vote in votes]
        if text['subject']:
            item['subject'] = text['subject']
        if further:
            item['metadata'] = {name: cells[name] for name in further}
        return item

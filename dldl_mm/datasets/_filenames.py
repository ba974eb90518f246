"""Data sets that write the annotation into the file name."""

import os
from collections.abc import Iterator
from typing import Any

from dldl_mm.datasets._images import IMAGE_EXTENSIONS
from dldl_mm.datasets._tables import parse_number, read_table
from dldl_mm.datasets.base import LabelDistributionDataset, relative_name


class FileNameDataset(LabelDistributionDataset):
    """Images whose file names carry the age.

    Without ``ann_file`` all images under ``data_prefix``, in all its folders, are taken. With
    one, those it lists: a text file with a name per line, or a CSV file with a column ``file``. An
    ``age`` in the CSV file must agree with the file name; other columns go to ``metadata``.

    A subclass implements :meth:`parse_name`.

    Args:
        ann_file: Optional list of the files to take, ``*.csv`` or ``*.txt``.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a malformed file name, or an age in the list that contradicts it.
    """

    value_name = 'age'

    def parse_name(self, name: str) -> dict[str, Any]:
        """Return ``gt_value``, and optionally ``subject`` and ``metadata``, of a file name.

        Args:
            name: The file name, without folders.

        Raises:
            ValueError: if the name is malformed, saying what is expected.
        """
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        """List the images and parse their names; see :class:`LabelDistributionDataset`."""
        items = []
        for name, source, cells in self._listed() if self.ann_file else self._found():
            try:
                item = self.parse_name(os.path.basename(name))
            except ValueError as error:
                raise ValueError(f'{source}: file name {name!r}: {error}') from None
            if 'age' in cells:
                age = parse_number(cells.pop('age'), 'age', source)
                if age != item['gt_value']:
                    raise ValueError(
                        f'{source}: age {age:g} contradicts the file name {name!r}, '
                        f'which says {item["gt_value"]:g}'
                    )
            metadata = {**cells, **item.pop('metadata', {})}
            if 'subject' in metadata:
                item.setdefault('subject', metadata.pop('subject'))
            items.append(
                dict(item, img_path=self.image_path(name), source=source, metadata=metadata)
            )
        return items

    def _listed(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        extension = os.path.splitext(self.ann_file)[1].lower()
        if extension not in ('.csv', '.txt'):
            raise ValueError(f'ann_file must be a .csv or a .txt file, got {self.ann_file}')
        if extension == '.txt':
            columns, rows = read_table(self.ann_file, delimiter='\t', header=['file'])
        else:
            columns, rows = read_table(self.ann_file)
        if 'file' not in columns:
            raise ValueError(f"{self.ann_file} has no column 'file'; it has: {', '.join(columns)}")
        for row in rows:
            yield row.cells.pop('file'), row.source, row.cells

    def _found(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        root = self.data_prefix['img_path']
        folder = os.path.basename(os.path.normpath(root))
        names = [
            relative_name(os.path.join(place, file), root)
            for place, _, files in os.walk(root, followlinks=True)
            for file in files
            if file.lower().endswith(IMAGE_EXTENSIONS)
        ]
        for name in sorted(names):
            yield name, f'{folder}/{name}', {}

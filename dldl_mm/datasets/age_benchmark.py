"""The databases and splits of the CVPR 2024 benchmark of age estimation."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from dldl_mm.datasets._tables import parse_number, require_file
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.registry import DATASETS

_PARTS = {'train': 'trn', 'val': 'val', 'test': 'tst'}


@DATASETS.register_module()
class AgeBenchmark(LabelDistributionDataset):
    """Data sets in the form published with *A Call to Reflect on Evaluation Practices for Age
    Estimation* (Paplham and Franc, CVPR 2024), with that paper's splits.

    A *database* (JSON) is a list of faces: ``img_path``, ``age`` in completed years (-1 for
    unknown: such entries are left out and counted), ``folder``, and optionally ``std_age``,
    ``id_num`` or ``name`` of the person, ``aligned_bbox``, ``database`` and further attributes. A
    *benchmark* (YAML) lists databases, and which of their folders train, validate and test in each
    of several splits.

    In the data items ``std_age`` becomes ``gt_sigma``, the person ``subject`` (behind the name of
    its database, so that numbers of two databases do not meet), and ``aligned_bbox`` becomes
    ``face_quad``: the (x, y) of the four corners of the face, clockwise from the top left, in
    pixels of the image, for a transform that cuts out and rotates the face. They may lie outside
    the image.

    Args:
        ann_file: A benchmark (``*.yaml``), whose databases are found relative to it, or a single
            database (``*.json``).
        part: 'train', 'val' or 'test'; for a benchmark.
        split: Which of the benchmark's splits, from 0.
        database: The ``tag`` of the one database of the benchmark to take; None takes all that
            have folders in this part. The databases besides the one that is trained on are test
            sets of other origin.
        folders: Folders to take; for a single database, None takes all.
        **kwargs: See :class:`LabelDistributionDataset`. CLAP2016 contains deviations of 0 and
            needs ``min_sigma``.

    Raises:
        ValueError: for a file that is not such a database or benchmark, an unknown part, split,
            database or folder.
    """

    value_name = 'age'

    def __init__(
        self,
        ann_file: str,
        *,
        part: str | None = None,
        split: int = 0,
        database: str | None = None,
        folders: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        extension = os.path.splitext(ann_file)[1].lower()
        if extension not in ('.yaml', '.yml', '.json'):
            raise ValueError(f'ann_file must be a .yaml or a .json file, got {ann_file!r}')
        self.is_benchmark = extension != '.json'
        if self.is_benchmark and part not in _PARTS:
            raise ValueError(f"part must be 'train', 'val' or 'test', got {part!r}")
        if self.is_benchmark and folders is not None:
            raise ValueError('folders is for a single database; a benchmark says its own')
        if not self.is_benchmark and (part is not None or split != 0 or database is not None):
            raise ValueError('part, split and database are for a benchmark (.yaml)')
        self.part = part
        self.split = split
        self.database = database
        self.folders = folders
        super().__init__(ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the databases; see :class:`LabelDistributionDataset`."""
        items: list[dict] = []
        unknown = 0
        for path, folders in self._databases():
            for source, entry in self._entries(path, folders):
                age = parse_number(entry['age'], 'age', source)
                if age == -1:
                    unknown += 1
                else:
                    items.append(self._parse_entry(entry, age, source))
        if unknown:
            self._log(f'left out {unknown} entries of unknown age')
        return items

    def _databases(self) -> Iterator[tuple[str, Sequence[int] | None]]:
        """The database files, and the folders of each to take."""
        if not self.is_benchmark:
            yield self.ann_file, self.folders
            return
        require_file(self.ann_file)
        with open(self.ann_file, encoding='utf-8') as file:
            try:
                benchmark = yaml.safe_load(file)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise ValueError(f'{self.ann_file} is not valid YAML: {error}') from None
        form = 'a list of entries with database, tag and split (trn, val, tst) is expected'
        if not isinstance(benchmark, list) or not benchmark:
            raise ValueError(f'{self.ann_file}: {form}')
        tags = []
        for number, entry in enumerate(benchmark, 1):
            try:
                path, tag, splits = entry['database'], entry.get('tag'), entry['split']
                count = len(splits)
                folders = splits[self.split][_PARTS[self.part or '']] if self.split < count else []
                folders = list(folders)
            except (TypeError, KeyError, AttributeError):
                raise ValueError(f'{self.ann_file}: entry {number}: {form}') from None
            if not 0 <= self.split < count:
                raise ValueError(
                    f'{self.ann_file}: entry {number} has splits 0 to {count - 1}, '
                    f'got split={self.split}'
                )
            tags.append(str(tag))
            if folders and self.database in (None, tag):
                yield os.path.join(os.path.dirname(self.ann_file), path), folders
        if self.database is not None and self.database not in tags:
            raise ValueError(
                f'{self.ann_file} has no database {self.database!r}; it has: {", ".join(tags)}'
            )

    @staticmethod
    def _entries(path: str, folders: Sequence[int] | None) -> Iterator[tuple[str, dict]]:
        """The entries of a database that lie in the folders."""
        require_file(path)
        with open(path, encoding='utf-8') as file:
            try:
                entries = json.load(file)
            except ValueError as error:
                raise ValueError(f'{path} is not valid JSON: {error}') from None
        if not isinstance(entries, list):
            raise ValueError(f'{path}: a list of entries is expected')
        name = os.path.basename(path)
        found = set()
        for number, entry in enumerate(entries, 1):
            source = f'{name}:{number}'
            missing = {'img_path', 'age', 'folder'} - set(entry if isinstance(entry, dict) else ())
            if missing:
                raise ValueError(f'{source}: the entry has no {", ".join(sorted(missing))}')
            if not isinstance(entry['img_path'], str) or not isinstance(entry['folder'], int):
                raise ValueError(
                    f'{source}: img_path must be a text and folder an integer, '
                    f'got {entry["img_path"]!r} and {entry["folder"]!r}'
                )
            found.add(entry['folder'])
            if folders is None or entry['folder'] in folders:
                yield source, entry
        absent = sorted(set(folders or ()) - found)
        if absent:
            raise ValueError(
                f'{path} has no entry in the folders {absent}; its folders are {sorted(found)}'
            )

    def _parse_entry(self, entry: dict, age: float, source: str) -> dict[str, Any]:
        item: dict[str, Any] = {
            'img_path': self.image_path(entry['img_path']),
            'gt_value': age,
            'source': source,
        }
        if 'std_age' in entry:
            item['gt_sigma'] = parse_number(entry['std_age'], 'std_age', source)
        person = entry.get('id_num', entry.get('name'))
        if person is not None:
            item['subject'] = f'{entry.get("database", "")}/{person}'
        if 'aligned_bbox' in entry:
            corners = entry['aligned_bbox']
            if not isinstance(corners, list) or len(corners) != 8:
                raise ValueError(f'{source}: aligned_bbox must be 8 numbers, got {corners!r}')
            numbers = [parse_number(corner, 'aligned_bbox', source) for corner in corners]
            item['face_quad'] = list(zip(numbers[::2], numbers[1::2], strict=True))
        used = ('img_path', 'age', 'std_age', 'aligned_bbox')
        item['metadata'] = {key: value for key, value in entry.items() if key not in used}
        return item

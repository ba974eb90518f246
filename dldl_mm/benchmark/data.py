"""What the parts of a data set hold, and that training and test share nothing."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from dldl_mm.datasets.base import relative_name
from dldl_mm.datasets.splits import check_disjoint, content_hash
from dldl_mm.registry import DATASETS

PARTS = ('train', 'val', 'test')


class DataChecker:
    """Reads the parts of configs' data sets, each only once, and refuses overlaps.

    Args:
        allow_shared_subjects: Persons may stand in training and test, as in published protocols
            that are random over the images. Byte-identical images may not.
    """

    def __init__(self, allow_shared_subjects: bool = False) -> None:
        self.allow_shared_subjects = allow_shared_subjects
        self._parts: dict[str, list[dict[str, Any]]] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._checked: dict[tuple[str, str], int] = {}

    def __call__(self, cfg: Config) -> dict[str, Any]:
        """Describe the data of a config.

        Args:
            cfg: The config, with ``train_dataloader`` and ``test_dataloader``; the validation part
                counts where the config selects by it.

        Returns:
            For each part the number of ``samples`` and ``subjects`` and the ``hash`` over file
            names and annotations; ``shared_subjects``, the number of persons in training and test.

        Raises:
            ValueError: Training and test (or what selects and either of them) share persons or
                byte-identical images, with examples; the data set is unusable.
            FileNotFoundError: Data are missing.
        """
        selected_by = selection(cfg)
        used = PARTS if selected_by else ('train', 'test')
        keys = {part: self._read(cfg, part) for part in used}
        pairs = [('train', 'test'), *([('train', 'val'), ('val', 'test')] if selected_by else [])]
        shared = [self._check(keys[a], keys[b], (a, b), selected_by) for a, b in pairs]
        return {
            **{part: self._facts[key] for part, key in keys.items()},
            'shared_subjects': shared[0],
        }

    def _read(self, cfg: Config, part: str) -> str:
        loader = cfg.get(f'{part}_dataloader')
        if loader is None:
            raise ValueError(f'{cfg.filename} has no {part}_dataloader')
        options = loader.dataset.to_dict()
        options['pipeline'] = []
        key = json.dumps(options, sort_keys=True, default=str)
        if key not in self._parts:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                dataset = DATASETS.build(options)
            items = [dataset.get_data_info(index) for index in range(len(dataset))]
            self._parts[key] = items
            known = getattr(dataset, 'split_hash', None)
            subjects = {item['subject'] for item in items if 'subject' in item}
            self._facts[key] = {
                'samples': len(items),
                **({'subjects': len(subjects)} if subjects else {}),
                'hash': known or _hash(items, str(options.get('data_root') or '')),
            }
        return key

    def _check(
        self, first: str, second: str, names: tuple[str, str], selected_by: str | None
    ) -> int:
        """Refuse overlaps; returns the number of shared persons."""
        if (first, second) in self._checked:
            return self._checked[first, second]
        items = [self._parts[key] for key in (first, second)]
        people = [{item.get('subject') for item in part} - {None} for part in items]
        paths = [{item['img_path'] for item in part} for part in items]
        same = sorted(paths[0] & paths[1])
        if same:
            what = f'{names[0]} and {names[1]} share {len(same)} images: {", ".join(same[:5])}'
            if names == ('val', 'test'):
                what += f'; {selected_by} would select on the test data'
            raise ValueError(what)
        # Rendered images have names, but no files; their generator keeps the splits apart.
        files = [
            [
                {k: item[k] for k in self._compared if k in item}
                for item in part
                if os.path.isfile(item['img_path'])
            ]
            for part in items
        ]
        try:
            check_disjoint(*files)
        except ValueError as error:
            hint = '; a protocol that is meant so has to say it' if 'subjects' in str(error) else ''
            raise ValueError(f'{names[0]} and {names[1]}: {error}{hint}') from None
        self._checked[first, second] = len(people[0] & people[1])
        return self._checked[first, second]

    @property
    def _compared(self) -> tuple[str, ...]:
        return ('img_path',) if self.allow_shared_subjects else ('img_path', 'subject')


def selection(cfg: Config) -> str | None:
    """What a config selects by the validation data: a checkpoint, the end or the learning rate."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if hook.get('save_best'):
        return f'save_best={hook["save_best"]!r}'
    for other in cfg.get('custom_hooks') or []:
        if other['type'] == 'EarlyStoppingHook':
            return 'EarlyStoppingHook'
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, Mapping) else schedulers:
        if str(scheduler['type']).startswith('ReduceOnPlateau'):
            return scheduler['type']
    return None


def _hash(items: list[dict[str, Any]], root: str) -> str:
    return content_hash((relative_name(item['img_path'], root), _value(item)) for item in items)


def _value(item: Mapping[str, Any]) -> Any:
    """The annotation of a sample of any task, as numbers."""
    if 'gt_value' in item:
        return item['gt_value']
    if 'seg_map_path' in item:
        return zlib.crc32(Path(item['seg_map_path']).read_bytes())
    labels = item.get('gt_label', [])
    labels = labels if isinstance(labels, list) else [labels]
    return [*labels, -1, *item.get('gt_label_difficult', [])]

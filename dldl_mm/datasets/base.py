"""The base of the data sets whose labels become distributions."""

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from dldl_mm.datasets._images import find_image_problems
from dldl_mm.datasets.splits import content_hash


class LabelDistributionDataset(BaseDataset):
    """Images annotated with one real value, or a vector of values, each.

    A subclass implements :meth:`load_data_list`, which returns one dict per image:

    ============ ======================== ====================================================
    key          type                     meaning
    ============ ======================== ====================================================
    ``img_path`` str                      the image file, from :meth:`image_path`
    ``gt_value`` float, or float32 (A,)   the annotated value, in the unit of the data set
    ``gt_sigma`` float, optional          annotated standard deviation, in the same unit
    ``gt_votes`` list of float, optional  the single ratings
    ``subject``  str, optional            the person shown
    ``metadata`` dict, optional           any further columns
    ``source``   str                      the row, as ``file:line``, for messages
    ============ ======================== ====================================================

    Before training starts, that is when the annotations are loaded, everything that would stop it
    or spoil it later is refused with one message that names file, row and value: see *Raises*.
    What is loaded is logged with a hash over the sorted (file, value) pairs, so that a log says
    which samples a model was trained on; ``tools/make_splits.py`` writes the same hash beside each
    split. It is also found as :attr:`split_hash` and in ``metainfo``.

    Every transform of the pipeline with a method ``check_annotation(data_info)`` is asked about
    every row; it raises ValueError for an annotation that it could not encode.

    Args:
        ann_file: Annotation file, relative to ``data_root`` unless absolute.
        data_root: Root folder of the data set.
        data_prefix: Folder of the images, relative to ``data_root`` unless absolute.
        where: Rows to keep, by column: ``dict(split='train')``, ``dict(fold=[1, 2, 3])``; a list
            means any of its values. Columns are ``subject`` and the names in ``metadata``. Values
            are compared as text.
        subset: ``dict(size=250, seed=0)`` keeps so many rows, random by ``seed``, of those that
            ``where`` describes. They are the first by a hash of seed and file name: a smaller subset
            lies inside a larger one of the same seed, whatever the order of the rows.
        min_sigma: Smallest standard deviation; smaller annotated ones (0 where all raters agreed)
            are raised to it. Without it a deviation of 0 is refused.
        on_bad_image: 'error' refuses a missing, empty or truncated image, 'skip' leaves its row
            out and logs how many were left out.
        metainfo: As in :class:`mmengine.dataset.BaseDataset`.
        indices: As in :class:`mmengine.dataset.BaseDataset`; applied after ``where``.
        serialize_data: As in :class:`mmengine.dataset.BaseDataset`.
        pipeline: Transforms.
        test_mode: As in :class:`mmengine.dataset.BaseDataset`.
        lazy_init: Load the annotations at first use.
        max_refetch: As in :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: if the annotation file or the image folder does not exist.
        ValueError: for no rows, an unusable value or standard deviation, a standard deviation or
            votes in some rows only, a ``where`` that matches nothing, unusable images, or an
            annotation that a transform of the pipeline refuses.
    """

    value_name = 'value'
    _fully_initialized: bool

    def __init__(
        self,
        ann_file: str = '',
        data_root: str | None = '',
        data_prefix: str | Mapping[str, str] = '',
        *,
        where: Mapping[str, Any] | None = None,
        subset: Mapping[str, int] | None = None,
        min_sigma: float | None = None,
        on_bad_image: str = 'error',
        metainfo: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if on_bad_image not in ('error', 'skip'):
            raise ValueError(f"on_bad_image must be 'error' or 'skip', got {on_bad_image!r}")
        if min_sigma is not None and not (isinstance(min_sigma, (int, float)) and min_sigma > 0):
            raise ValueError(f'min_sigma must be positive, got {min_sigma!r}')
        if isinstance(data_prefix, str):
            data_prefix = {'img_path': data_prefix}
        elif set(data_prefix) != {'img_path'}:
            raise ValueError(
                f'data_prefix must be a folder or dict(img_path=folder), got {data_prefix!r}'
            )
        if subset is not None and (
            set(subset) != {'size', 'seed'} or not all(isinstance(v, int) for v in subset.values())
        ):
            raise ValueError(f'subset must be dict(size=int, seed=int), got {subset!r}')
        self.where = dict(where or {})
        self.subset = subset
        self.min_sigma = min_sigma
        self.on_bad_image = on_bad_image
        self.split_hash = ''
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(data_prefix),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict]:
        """Read the annotations; see the class for what is returned."""
        raise NotImplementedError

    def image_path(self, name: str) -> str:
        """Join a file name from the annotations, of Windows too, with the image folder."""
        return os.path.join(self.data_prefix['img_path'], name.replace('\\', '/'))

    def full_init(self) -> None:
        """Load the annotations, check them and the images, and log what was loaded."""
        if self._fully_initialized:
            return
        folder = self.data_prefix['img_path']
        if folder and not os.path.isdir(folder):
            raise FileNotFoundError(f'image folder {folder} does not exist')
        items = self.load_data_list()
        self._require(items, 'no samples were found')
        self.data_list = self._draw_subset(self._select(items))
        self._check_sigma()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        self._check_images()
        self._require(self.data_list, 'no samples are left')
        self._check_with_transforms(self.data_list)
        self._log_summary()
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def _require(self, items: list[dict], message: str) -> None:
        if not items:
            place = self.ann_file or self.data_prefix['img_path']
            raise ValueError(f'{type(self).__name__}: {message} in {place}')

    def _log(self, message: str, level: int = logging.INFO) -> None:
        print_log(f'{type(self).__name__}: {message}', logger='current', level=level)

    def _select(self, items: list[dict]) -> list[dict]:
        """Keep the rows that ``where`` describes."""
        for column, wanted in self.where.items():
            several = isinstance(wanted, Sequence) and not isinstance(wanted, str)
            texts = {str(value) for value in (wanted if several else [wanted])}
            known: dict[str, None] = {}
            for item in items:
                known.update(dict.fromkeys(sample_columns(item)))
            if column not in known:
                raise ValueError(
                    f'where: {self.ann_file or type(self).__name__} has no column {column!r}; '
                    f'it has: {", ".join(known) or "none to select by"}'
                )
            values = [sample_columns(item).get(column) for item in items]
            kept = [item for item, value in zip(items, values, strict=True) if str(value) in texts]
            if not kept:
                found = sorted({str(value) for value in values})
                raise ValueError(
                    f'where: no row has {column} = {" or ".join(sorted(texts))}; '
                    f'the values are: {_shorten(found, 10)}'
                )
            items = kept
        return items

    def _draw_subset(self, items: list[dict]) -> list[dict]:
        if self.subset is None:
            return items
        size, seed = self.subset['size'], self.subset['seed']
        if not 1 <= size <= len(items):
            raise ValueError(f'subset: size must be 1 to {len(items)} samples, got {size}')
        root = self.data_prefix['img_path']

        def rank(item: dict) -> bytes:
            name = relative_name(item['img_path'], root)
            return hashlib.sha256(f'{seed}/{name}'.encode()).digest()

        kept = {id(item) for item in sorted(items, key=rank)[:size]}
        return [item for item in items if id(item) in kept]

    def _check_sigma(self) -> None:
        """Refuse unusable deviations, and deviations or votes in some rows of a file only."""
        by_file: dict[str, list[dict]] = defaultdict(list)
        for item in self.data_list:
            by_file[item['source'].rpartition(':')[0]].append(item)
        for key, name in (('gt_sigma', 'standard deviation'), ('gt_votes', 'votes')):
            for rows in by_file.values():
                missing = [item['source'] for item in rows if key not in item]
                if missing and len(missing) < len(rows):
                    raise ValueError(
                        f'{_shorten(missing, 3)}: no {name}, but other rows of the file have one; '
                        'annotate all rows or none'
                    )
        raised = 0
        for item in self.data_list:
            sigma = item.get('gt_sigma')
            if sigma is None:
                continue
            if sigma < 0 or (sigma == 0 and self.min_sigma is None):
                hint = ', or min_sigma=… to raise it' if sigma == 0 else ''
                raise ValueError(
                    f'{item["source"]}: standard deviation {sigma:g} is not positive; '
                    f'a positive number is expected{hint}'
                )
            if self.min_sigma is not None and sigma < self.min_sigma:
                item['gt_sigma'] = float(self.min_sigma)
                raised += 1
        if raised:
            self._log(f'{raised} standard deviations raised to min_sigma={self.min_sigma:g}')

    def _check_images(self) -> None:
        problems = find_image_problems([item['img_path'] for item in self.data_list])
        if not problems:
            return
        named = [
            f'{self.data_list[index]["img_path"]} ({self.data_list[index]["source"]}) {problem}'
            for index, problem in problems.items()
        ]
        count = f'{len(problems)} of {len(self.data_list)}'
        listed = _shorten(named, 5, '; ')
        if self.on_bad_image == 'error':
            raise ValueError(
                f"{count} images are unusable: {listed}. on_bad_image='skip' leaves such rows out"
            )
        self._log(f'left out {count} rows with unusable images: {listed}', logging.WARNING)
        self.data_list = [
            item for index, item in enumerate(self.data_list) if index not in problems
        ]

    def check_annotations(self) -> None:
        """Ask the transforms about every row again, after one of them was given its codec.

        Raises:
            ValueError: A transform refuses an annotation.
        """
        self._check_with_transforms(self.get_data_info(index) for index in range(len(self)))

    def _check_with_transforms(self, items: Iterable[dict]) -> None:
        items = list(items)
        for transform in self.pipeline.transforms:
            check = getattr(transform, 'check_annotation', None)
            if check is None:
                continue
            refused = []
            for item in items:
                try:
                    check(item)
                except ValueError as error:
                    refused.append(f'{item["source"]}: {error}')
            if refused:
                more = f' ({len(refused) - 1} more rows are refused)' if len(refused) > 1 else ''
                raise ValueError(refused[0] + more)

    def _log_summary(self) -> None:
        root = self.data_prefix['img_path']
        self.split_hash = content_hash(
            (relative_name(item['img_path'], root), item['gt_value']) for item in self.data_list
        )
        self._metainfo['split_hash'] = self.split_hash
        subjects = {item['subject'] for item in self.data_list if 'subject' in item}
        count = f'{len(self.data_list)} samples'
        if subjects:
            count += f' of {len(subjects)} subjects'
        place = self.ann_file or root
        chosen = f' where {self.where}' if self.where else ''
        if self.subset is not None:
            chosen += f', random by seed {self.subset["seed"]}'
        self._log(f'{count} from {place}{chosen}, split hash {self.split_hash}')


def relative_name(path: str, root: str) -> str:
    """Write a path relative to a root folder, with forward slashes on every system.

    Example:
        >>> relative_name('data/images/a.jpg', 'data/images/')
        'a.jpg'
    """
    prefix = os.path.join(root, '')
    if root and path.startswith(prefix):
        path = path[len(prefix) :]
    return path.replace(os.sep, '/')


def sample_columns(item: dict) -> dict[str, Any]:
    """The columns of a sample that ``where`` can name, with its values."""
    columns = dict(item.get('metadata', {}))
    if 'subject' in item:
        columns['subject'] = item['subject']
    return columns


def _shorten(names: Sequence[str], count: int, separator: str = ', ') -> str:
    more = f'{separator}and {len(names) - count} more' if len(names) > count else ''
    return separator.join(names[:count]) + more

"""ChaLearn LAP 2015 and 2016, APPA-REAL: apparent ages with their deviations."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from dldl_mm.datasets._tables import Row, find_delimiter, parse_number, read_table
from dldl_mm.datasets.age import AgeDataset
from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class ChaLearnAge(AgeDataset):
    """Apparent ages of the ChaLearn challenges: mean and deviation of the raters' guesses.

    ============================ ==============================================================
    data set                     ``ann_file``
    ============================ ==============================================================
    ChaLearn LAP 2015 (ICCV)     file, mean, deviation; separated by semicolons or commas
    ChaLearn LAP 2016 (CVPR)     ``train_gt.csv``, …: image, mean, stdv
    APPA-REAL (FG 2017)          ``gt_avg_train.csv``, …: file_name, num_ratings,
                                 apparent_age_avg, apparent_age_std, real_age
    ============================ ==============================================================

    A file without a header line is taken for file, mean, deviation. Other columns, such as the
    real age, go to ``metadata``; ``columns=dict(age='real_age', sigma=None)`` learns the real age.
    The 2016 set and APPA-REAL contain images with a deviation of 0, where all raters agreed: say
    by ``min_sigma`` what to raise it to.

    Args:
        ann_file: The annotation file.
        votes_file: The single ratings of APPA-REAL (``gt_train.csv``, …), a row each, to be kept
            as ``gt_votes``. Columns file_name, real_age, apparent_age, worker_age, worker_gender,
            in this order where there is no header.
        vote_column: The rating's column in ``votes_file``.
        suffix: Appended to each file name; ``'_face.jpg'`` takes APPA-REAL's cropped faces.
        columns: Other column names; see :class:`AgeDataset`.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for an image without ratings in ``votes_file``, and as in :class:`AgeDataset`.
    """

    COLUMNS: Mapping[str, Sequence[str]] = {
        'file': ('file', 'image', 'file_name'),
        'age': ('mean', 'apparent_age_avg'),
        'sigma': ('std', 'stdv', 'apparent_age_std'),
        'votes': (),
        'subject': (),
    }

    def __init__(
        self,
        ann_file: str,
        *,
        votes_file: str | None = None,
        vote_column: str = 'apparent_age',
        suffix: str = '',
        columns: Mapping[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        self.votes_file = votes_file
        self.vote_column = vote_column
        self.suffix = suffix
        super().__init__(ann_file, columns=columns, **kwargs)

    def read_rows(self) -> tuple[list[str], list[Row]]:
        """Read the annotation file, with or without a header line."""
        return _read(self.ann_file, ['file', 'mean', 'std'])

    def load_data_list(self) -> list[dict]:
        """Read ages and single ratings; see :class:`LabelDistributionDataset`."""
        items = super().load_data_list()
        if self.votes_file is not None:
            votes = self._read_votes(os.path.join(self.data_root or '', self.votes_file))
            for item in items:
                if item['img_path'] not in votes:
                    raise ValueError(
                        f'{item["source"]}: {self.votes_file} has no rating of {item["img_path"]}'
                    )
                item['gt_votes'] = votes[item['img_path']]
        for item in items:
            item['img_path'] += self.suffix
        return items

    def _read_votes(self, path: str) -> dict[str, list[float]]:
        names = ['file_name', 'real_age', 'apparent_age', 'worker_age', 'worker_gender']
        header, rows = _read(path, names)
        for name in ('file_name', self.vote_column):
            if name not in header:
                raise ValueError(f'{path} has no column {name!r}; it has: {", ".join(header)}')
        votes = defaultdict(list)
        for source, cells in rows:
            vote = parse_number(cells[self.vote_column], self.vote_column, source)
            votes[self.image_path(cells['file_name'])].append(vote)
        return votes


def _read(path: str, names: list[str]) -> tuple[list[str], list[Row]]:
    """Read a table; where its first line has a number, it is data under the given names."""
    line = ''
    if os.path.isfile(path):
        with open(path, encoding='utf-8-sig', errors='replace') as file:
            line = file.readline()
    cells = line.strip().split(find_delimiter(line))
    try:
        float(cells[1] if len(cells) > 1 else '')
    except ValueError:
        return read_table(path)
    return read_table(path, header=names)

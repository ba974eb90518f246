"""FG-NET: ages from file names."""

import re
from typing import Any

from dldl_mm.datasets._filenames import FileNameDataset
from dldl_mm.registry import DATASETS

_NAME = re.compile(r'(\d{3})A(\d{2})[a-z]?\.\w+', re.IGNORECASE)


@DATASETS.register_module()
class FGNet(FileNameDataset):
    """FG-NET: 1,002 photographs of 82 persons, 0 to 69 years.

    File names are ``001A02.JPG``: person 001 (kept as ``subject``) at the age of 2 years. A small
    letter at the end (``001A43a.JPG``) tells several images of one age apart.

    Args:
        ann_file: Optional list of the files to take: ``*.txt``, or ``*.csv`` with a column
            ``file``.
        **kwargs: See :class:`LabelDistributionDataset`. ``where=dict(subject='001')`` takes one
            person.

    Raises:
        ValueError: for a malformed file name, or an age in the list that contradicts it.
    """

    def parse_name(self, name: str) -> dict[str, Any]:
        """Parse person and age; see :class:`FileNameDataset`."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError('person and age are expected, as in 001A02.JPG or 001A43a.JPG')
        return {'gt_value': float(match[2]), 'subject': match[1]}

"""AgeDB: ages from file names."""

import re
from typing import Any

from dldl_mm.datasets._filenames import FileNameDataset
from dldl_mm.registry import DATASETS

_NAME = re.compile(r'(\d+)_(.+)_(\d{1,3})_([mf])\.\w+', re.IGNORECASE)


@DATASETS.register_module()
class AgeDB(FileNameDataset):
    """AgeDB: 16,488 photographs of 568 persons, 1 to 101 years (Moschoglou et al., CVPRW 2017).

    File names are ``ID_Name_Age_Gender.jpg``, as in ``0_MariaCallas_35_f.jpg``. The name is kept
    as ``subject``, number and gender (``m`` or ``f``) in ``metadata``.

    Args:
        ann_file: Optional list of the files to take: ``*.txt``, or ``*.csv`` with a column
            ``file``.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a malformed file name, or an age in the list that contradicts it.
    """

    def parse_name(self, name: str) -> dict[str, Any]:
        """Parse ``ID_Name_Age_Gender``; see :class:`FileNameDataset`."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError('ID_Name_Age_Gender is expected, as in 0_MariaCallas_35_f.jpg')
        return {
            'gt_value': float(match[3]),
            # A few names of the release end in a space.
            'subject': match[2].strip(),
            'metadata': {'number': match[1], 'gender': match[4].lower()},
        }

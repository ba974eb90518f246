"""UTKFace: ages from file names."""

import re
from typing import Any

from dldl_mm.datasets._filenames import FileNameDataset
from dldl_mm.registry import DATASETS

# age_gender_race_date; a few released files lack a field, or leave it empty.
_NAME = re.compile(r'(\d{1,3})_(?:(\d?)_)?(?:(\d?)_)?(\d{14,})')


@DATASETS.register_module()
class UTKFace(FileNameDataset):
    """UTKFace: about 23,700 faces, 0 to 116 years (Zhang, Song and Qi, CVPR 2017).

    File names are ``age_gender_race_date.jpg`` (aligned and cropped: ``….jpg.chip.jpg``): the age
    in years, gender 0 (male) or 1 (female), race 0 to 4 (White, Black, Asian, Indian, other),
    time of collection as yyyymmddHHMMSSFFF. Gender, race and date go to ``metadata`` as text. A
    few files of the release lack gender or race; which of the two cannot be told from the name, so
    they keep age and date.

    Args:
        ann_file: Optional list of the files to take: ``*.txt``, or ``*.csv`` with a column
            ``file``.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a malformed file name, or an age in the list that contradicts it.
    """

    def parse_name(self, name: str) -> dict[str, Any]:
        """Parse ``age_gender_race_date``; see :class:`FileNameDataset`."""
        match = _NAME.match(name)
        if match is None:
            raise ValueError('age_gender_race_date is expected, as in 26_1_2_20170116184024662.jpg')
        age, gender, race, date = match.groups()
        metadata = {'date': date}
        if race is not None:
            metadata.update((k, v) for k, v in {'gender': gender, 'race': race}.items() if v)
        return {'gt_value': float(age), 'metadata': metadata}

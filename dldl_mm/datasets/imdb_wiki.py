"""IMDB-WIKI: ages from birth date and year of the photograph."""

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np

from dldl_mm.datasets._tables import require_file
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.registry import DATASETS

# Matlab counts days from year 0, Python from year 1.
_MATLAB_OFFSET = 366


@DATASETS.register_module()
class IMDBWiki(LabelDistributionDataset):
    """IMDB-WIKI: 523,051 photographs of celebrities (Rothe et al., IJCV 2018).

    Reads ``imdb.mat`` or ``wiki.mat``. The files hold the date of birth (a Matlab serial number)
    and the year of the photograph; the age is the number of completed years on 1 July of that
    year. Person (``celeb_id``, or ``name`` where there is none) and gender (0 female, 1 male) are
    kept as ``subject`` and in ``metadata``.

    The labels were collected automatically and many are wrong. Rows are left out, and counted in
    the log, for the first that applies: no usable date of birth; an age outside
    ``[min_age, max_age]``; no face, or a score below ``min_face_score``; a second face.

    Args:
        ann_file: ``imdb.mat`` or ``wiki.mat``.
        min_face_score: Smallest score of the face detector; None keeps all rows.
        single_face: Leave out photographs in which a second face was found.
        min_age: Smallest age in years.
        max_age: Largest age in years.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: if the file is not one of the two, or a field is missing.
    """

    value_name = 'age'

    def __init__(
        self,
        ann_file: str,
        *,
        min_face_score: float | None = 1.0,
        single_face: bool = True,
        min_age: float = 0,
        max_age: float = 100,
        **kwargs: Any,
    ) -> None:
        if not min_age <= max_age:
            raise ValueError(f'min_age must not exceed max_age, got {min_age!r} and {max_age!r}')
        self.min_face_score = min_face_score
        self.single_face = single_face
        self.min_age = min_age
        self.max_age = max_age
        super().__init__(ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read and filter the rows; see :class:`LabelDistributionDataset`."""
        dropped: Counter[str] = Counter()
        items = []
        for row in self._read_rows():
            age = _age(row['dob'], int(row['photo_taken']))
            reason = self._refuse(age, row['face_score'], row['second_face_score'])
            if reason is not None:
                dropped[reason] += 1
                continue
            item: dict[str, Any] = {
                'img_path': self.image_path(row['file']),
                'gt_value': float(age or 0),
                'source': row['source'],
            }
            if row['subject']:
                item['subject'] = row['subject']
            if not np.isnan(row['gender']):
                item['metadata'] = {'gender': str(int(row['gender']))}
            items.append(item)
        if dropped:
            reasons = ', '.join(f'{count} {reason}' for reason, count in dropped.most_common())
            total = len(items) + sum(dropped.values())
            self._log(f'left out {sum(dropped.values())} of {total} rows: {reasons}')
        return items

    def _refuse(self, age: int | None, score: float, second_score: float) -> str | None:
        if age is None:
            return 'without a usable date of birth'
        if not self.min_age <= age <= self.max_age:
            return f'with an age outside {self.min_age:g} to {self.max_age:g}'
        # The score is minus infinity where no face was found.
        if self.min_face_score is not None and not score >= self.min_face_score:
            return f'with a face score below {self.min_face_score:g}'
        if self.single_face and not np.isnan(second_score):
            return 'with a second face'
        return None

    def _read_rows(self) -> Iterator[dict[str, Any]]:
        # Imported here, because no other data set needs SciPy.
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        name = os.path.basename(self.ann_file)
        require_file(self.ann_file)
        try:
            contents = loadmat(self.ann_file, squeeze_me=True)
        except (
            *(ValueError, TypeError, NotImplementedError, OSError),
            *(MatReadError, zlib.error, struct.error),
        ) as error:
            raise ValueError(f'{self.ann_file} is not a readable .mat file: {error}') from None
        key = next((key for key in ('imdb', 'wiki') if key in contents), None)
        if key is None:
            found = [key for key in contents if not key.startswith('__')]
            raise ValueError(
                f"{self.ann_file}: a variable 'imdb' or 'wiki' is expected, found: "
                f'{", ".join(found)}'
            )
        record = contents[key]
        fields = {field: np.atleast_1d(record[field].item()) for field in record.dtype.names or ()}
        person = 'celeb_id' if 'celeb_id' in fields else 'name'
        needed = ['dob', 'photo_taken', 'full_path', 'gender', 'face_score', 'second_face_score']
        missing = [field for field in [*needed, person] if field not in fields]
        if missing:
            raise ValueError(f'{self.ann_file}: {key} has no field {", ".join(missing)}')
        for index in range(len(fields['full_path'])):
            row = {field: fields[field][index] for field in needed}
            subject = fields[person][index]
            row['file'] = str(row['full_path'])
            # An empty name is read as an empty array.
            name_or_number = subject if np.ndim(subject) == 0 else ''
            row['subject'] = str(int(subject) if person == 'celeb_id' else name_or_number)
            row['source'] = f'{name}:{index + 1}'
            yield row


def _age(dob: float, year: int) -> int | None:
    """Completed years on 1 July of the year, or None if the date of birth is none."""
    ordinal = int(dob) - _MATLAB_OFFSET if np.isfinite(dob) else 0
    if not 1 <= ordinal <= date.max.toordinal():
        return None
    birth = date.fromordinal(ordinal)
    return year - birth.year - ((birth.month, birth.day) > (7, 1))

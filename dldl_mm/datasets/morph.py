"""MORPH album II: ages from its CSV file."""

from collections.abc import Mapping, Sequence

from dldl_mm.datasets.age import AgeDataset
from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class Morph(AgeDataset):
    """MORPH II: 55,134 photographs of 13,617 persons, 16 to 77 years (Ricanek and Tesafaye, 2006).

    Reads the CSV file of the academic release (``morph_2008_nonCommercial.csv``) as it is: the
    columns ``photo`` (the file, such as ``Album2/009055_1M54.JPG``), ``age`` in completed years
    and ``id_num`` (the person, as ``subject``) are used, the others (picture_num, dob, doa, race,
    gender, facial_hair, age_diff, glasses) are kept as ``metadata``.

    Args:
        ann_file: The CSV file.
        columns: Column names of another release; see :class:`AgeDataset`.
        **kwargs: See :class:`LabelDistributionDataset`.
    """

    COLUMNS: Mapping[str, Sequence[str]] = {
        'file': ('photo',),
        'age': ('age',),
        'sigma': (),
        'votes': (),
        'subject': ('id_num',),
    }
    REQUIRED = ('file', 'age', 'subject')

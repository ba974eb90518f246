"""Pointing'04 and BJUT-3D: 93 poses, written into the file names."""

import os
import re
from typing import Any

from dldl_mm.codecs.grid import PRESETS
from dldl_mm.datasets._filenames import FileNameDataset
from dldl_mm.datasets._tables import parse_number
from dldl_mm.datasets.head_pose import HeadPoseReader
from dldl_mm.registry import DATASETS


class _NamedPoses(HeadPoseReader, FileNameDataset):
    """Images whose names end in ``±pitch±yaw``; see the subclasses."""

    value_name = 'angle'
    ANGLES = ('pitch', 'yaw')
    POSES: tuple[tuple[float, ...], ...]
    NAME: re.Pattern[str]
    EXPECTED: str

    def parse_name(self, name: str) -> dict[str, Any]:
        """Parse subject, pitch and yaw; see :class:`FileNameDataset`."""
        match = self.NAME.fullmatch(os.path.splitext(name)[0])
        if match is None:
            raise ValueError(f'{self.EXPECTED} is expected')
        pose = float(match['pitch']), float(match['yaw'])
        if pose not in self.POSES:
            raise ValueError(
                f"(pitch, yaw) = ({pose[0]:g}, {pose[1]:g}) is none of the set's "
                f'{len(self.POSES)} poses'
            )
        fields = {k: v for k, v in match.groupdict().items() if k not in ('subject', *self.ANGLES)}
        angles = dict(zip(self.ANGLES, pose, strict=True))
        return {
            'gt_value': self.pose_value(angles),
            'subject': match['subject'].lstrip('0'),
            'metadata': {**fields, 'pose': pose},
        }

    def load_data_list(self) -> list[dict]:
        """List the images and parse their names; see :class:`LabelDistributionDataset`."""
        items = super().load_data_list()
        for item in items:
            pose = item['metadata'].pop('pose')
            for axis, said in zip(self.ANGLES, pose, strict=True):
                if axis not in item['metadata']:
                    continue
                listed = parse_number(item['metadata'][axis], axis, item['source'])
                if listed != said:
                    raise ValueError(
                        f'{item["source"]}: {axis} {listed:g} contradicts the file name '
                        f'{os.path.basename(item["img_path"])!r}, which says {said:g}'
                    )
        return items


@DATASETS.register_module()
class Pointing04(_NamedPoses):
    """Pointing'04: 2,790 images of 15 persons in 2 series of 93 poses (Gourier et al., 2004).

    Files are ``PersonPP/personPPSNN±pitch±yaw.jpg``: person, series, number, and the angles in
    degrees. A text file of the same name beside each holds the face box: centre x and y, width
    and height in pixels. Its convention is the one used here, +pitch looks up and +yaw turns to
    the image's left, so nothing is converted. There is no roll. ``subject`` is the person's
    number; ``series`` and the number of the image go to ``metadata``.

    The folds of the authors of DLDL are random over the images, so the persons of a fold's test
    images are in its training images too; ``where=dict(subject=...)`` selects by person instead.

    Args:
        ann_file: Optional list of the files, such as ``folds.csv`` with the columns ``file``,
            ``pitch``, ``yaw`` and ``fold``; ``where=dict(fold=[1, 2, 3, 4])`` selects by it.
            Angles in it must agree with the file names.
        axes: The angles of ``gt_value``, ``'pitch'`` and ``'yaw'`` in any order.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a file name that is malformed or none of the 93 poses, a contradiction with
            the list, or a malformed box.
    """

    POSES = PRESETS['pointing04']
    NAME = re.compile(
        r'person(?:ne)?(?P<subject>\d\d)(?P<series>\d)(?P<number>\d\d)'
        r'(?P<pitch>[+-]\d+)(?P<yaw>[+-]\d+)'
    )
    EXPECTED = 'personPPSNN±pitch±yaw, as in person01150+0+60.jpg,'

    def load_data_list(self) -> list[dict]:
        """Add the face boxes; see :class:`LabelDistributionDataset`."""
        items = super().load_data_list()
        for item in items:
            path = os.path.splitext(item['img_path'])[0] + '.txt'
            if os.path.isfile(path):
                item['face_box'] = _read_box(path)
        return items


@DATASETS.register_module()
class BJUT3D(_NamedPoses):
    """BJUT-3D: 93 rendered poses of each 3-D scan (Gao et al., TIP 2017, Sec. IV-B).

    The set itself consists of scans, which its owners give out on request; the images are rendered
    from them. They are expected as ``<subject>±pitch±yaw.<ext>``, as in ``F0001+10-40.png``, in
    any folders, with the face filling the image, +pitch looking up and +yaw turning to the image's
    left. Nothing is converted; there is no roll.

    Args:
        ann_file: Optional list of the files, a CSV file with the column ``file`` and further ones,
            such as ``fold``, for ``where``.
        axes: The angles of ``gt_value``, ``'pitch'`` and ``'yaw'`` in any order.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a file name that is malformed or none of the 93 poses, or a contradiction
            with the list.
    """

    POSES = PRESETS['bjut3d']
    NAME = re.compile(r'(?P<subject>.+?)(?P<pitch>[+-]\d+)(?P<yaw>[+-]\d+)')
    EXPECTED = 'subject±pitch±yaw, as in F0001+10-40.png,'


def _read_box(path: str) -> list[float]:
    """``Face`` and four numbers: centre x and y, width and height."""
    with open(path, encoding='utf-8', errors='replace') as file:
        words = file.read().split()
    numbers = words[words.index('Face') + 1 :] if 'Face' in words else []
    if len(numbers) != 4:
        raise ValueError(
            f"{path}: 'Face' and four numbers (centre x, y, width, height) are expected, "
            f'got {" ".join(words)!r}'
        )
    x, y, width, height = (parse_number(number, 'face box', path) for number in numbers)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]

"""Rendered faces: the data set that the default configurations train on, without any file."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from dldl_mm.datasets._head_model import (
    FaceParams,
    project_points,
    render_face,
    rotation_matrix,
    sample_face,
)
from dldl_mm.datasets._options import SPLITS, check_choice, check_integer
from dldl_mm.registry import DATASETS

__all__ = [
    'FaceParams',
    'SyntheticFaces',
    'draw_votes',
    'project_points',
    'render_face',
    'rotation_matrix',
    'sample_face',
]

AGES = (1, 85)  # first and last age of the label set
AXES = ('pitch', 'yaw', 'roll')
POSE_RANGES = {
    'age': {'pitch': 15.0, 'yaw': 25.0, 'roll': 10.0},
    'pose': {'pitch': 50.0, 'yaw': 75.0, 'roll': 30.0},
}

#: Mean deviation of the raters of ChaLearn LAP 2015 for apparent ages 0-9, 10-19, ..., 80-89.
VOTE_DEVIATIONS = (2.01, 2.95, 3.90, 4.41, 4.56, 4.50, 4.67, 4.84, 4.95)

#: Smallest deviation of a label, in years. Votes are whole years; when all raters give the same
#: one, what remains is the rounding, and a uniform error of one year's width deviates by this.
MIN_SIGMA = 1.0 / math.sqrt(12.0)

_announced = False


def draw_votes(
    rng: np.random.Generator, apparent_age: float, num_raters: int
) -> tuple[list[int], float, float]:
    r"""Let raters guess an age.

    A vote is the apparent age plus a normal error, rounded to a whole year and clipped into
    1..85; the deviation of the error is that of ChaLearn's raters (``VOTE_DEVIATIONS``), linear
    between the middles of the decades.

    Args:
        rng: Source of randomness.
        apparent_age: What a face looks like on the whole, in years.
        num_raters: Number of votes, at least 2.

    Returns:
        The votes, their mean, and their sample deviation (n - 1 in the denominator), which is at
        least ``MIN_SIGMA``, so never 0.
    """
    middles = 10.0 * np.arange(len(VOTE_DEVIATIONS)) + 5.0
    deviation = np.interp(apparent_age, middles, VOTE_DEVIATIONS)
    guesses = np.rint(rng.normal(apparent_age, deviation, num_raters))
    votes = np.clip(guesses, *AGES)
    return votes.astype(int).tolist(), float(votes.mean()), max(float(votes.std(ddof=1)), MIN_SIGMA)


@DATASETS.register_module()
class SyntheticFaces(BaseDataset):
    """Faces of a small 3-D head model, rendered on the fly, with ages and head poses.

    An image depends on ``seed``, ``split`` and its index alone: it has the same pixels in every
    process, in any order and with any number of workers, and the splits of one seed never share
    an image. Ages are uniform over 1..85 years. A person looks older or younger than they are by
    a normal offset (up to 5 years' deviation; children less), every sign of age (wrinkles, grey
    hair, sagging, ...) has a further offset of its own, and raters vote on what they see: labels
    are as ambiguous as real ones. Angles are uniform, positive pitch looks up, positive yaw turns
    to the image's left, positive roll is counter-clockwise (see
    :func:`~dldl_mm.datasets.synthetic.rotation_matrix` for their order).

    The data serve to try the software. They are drawings, not people, and no figure measured on
    them says anything about real faces.

    Args:
        num_samples: Number of images.
        img_size: Width and height of the images in pixels, at least 16.
        seed: Seed of the whole set, a non-negative integer.
        split: 'train', 'val' or 'test'.
        target: What ``gt_value`` is: 'age' (the mean of the raters' votes) or 'pose'.
        axes: For ``target='pose'``, the angles of ``gt_value`` in this order.
        pose_range: Largest absolute angle of each axis, in degrees, as a dict with keys of
            'pitch', 'yaw', 'roll'; an axis that is not named keeps the default, which is
            15, 25, 10 for ages and 50, 75, 30 for poses.
        num_raters: Number of votes on each age, at least 2.
        pipeline: Transforms that follow the rendering, which takes the place of a loader.
        metainfo: Passed on to ``BaseDataset``, as are the arguments below.
        indices: Keep the first so many images, or those of these indices.
        serialize_data: Keep the annotations in one shared buffer.
        test_mode: Whether a failing pipeline raises instead of trying another image.
        lazy_init: Draw the labels at the first use.
        max_refetch: How many other images to try when the pipeline returns None.

    A sample holds ``img`` (H, W, 3) uint8 in blue, green, red, ``img_path`` (a name, not a file),
    ``img_shape``, ``ori_shape``, ``age`` (true age in years), ``pitch``, ``yaw``, ``roll`` and
    ``gt_value``: a float for ages, with ``gt_sigma`` (the votes' deviation) and ``gt_votes``, or
    a float32 array with one angle per axis.

    Raises:
        ValueError, TypeError: For an argument out of its range, naming it.

    Example:
        >>> from dldl_mm.datasets.synthetic import SyntheticFaces
        >>> faces = SyntheticFaces(num_samples=4, split='val', lazy_init=True)
        >>> labels = faces.load_data_list()[3]
        >>> labels['img_path'], len(labels['gt_votes'])
        ('synthetic://faces/0/val/3', 10)
    """

    def __init__(
        self,
        num_samples: int = 2000,
        img_size: int = 64,
        seed: int = 0,
        split: str = 'train',
        target: str = 'age',
        axes: Sequence[str] = ('pitch', 'yaw'),
        pose_range: Mapping[str, float] | None = None,
        num_raters: int = 10,
        pipeline: Sequence = (),
        metainfo: Mapping | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.num_samples = check_integer('SyntheticFaces', 'num_samples', num_samples, 1)
        self.img_size = check_integer('SyntheticFaces', 'img_size', img_size, 16)
        self.seed = check_integer('SyntheticFaces', 'seed', seed, 0)
        self.split = check_choice('SyntheticFaces', 'split', split, SPLITS)
        self.target = check_choice('SyntheticFaces', 'target', target, tuple(POSE_RANGES))
        self.axes = _axes(axes)
        self.pose_range = _pose_range(pose_range, POSE_RANGES[target])
        self.num_raters = check_integer('SyntheticFaces', 'num_raters', num_raters, 2)
        super().__init__(
            metainfo=metainfo,
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def full_init(self) -> None:
        """Draw the labels and say, once per process, that the data are synthetic."""
        if not self._fully_initialized:
            _announce(self.target)
        super().full_init()

    def load_data_list(self) -> list[dict]:
        """Draw the labels of all images; nothing is rendered."""
        return [self._draw_labels(index) for index in range(self.num_samples)]

    def prepare_data(self, idx: int) -> Any:
        """Render one image and run the pipeline on it."""
        results = self.get_data_info(idx)
        results['img'] = render_face(self.face_params(results['face_index']), self.img_size)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return self.pipeline(results)

    def face_params(self, index: int) -> FaceParams:
        """What the image of this index in the split (not in a subset of it) shows."""
        labels, shown_age = self._draw_age_and_pose(index)
        pose = {axis: labels[axis] for axis in AXES}
        return sample_face(self._rng(index, 'look'), shown_age, **pose)

    def _rng(self, index: int, stream: str) -> np.random.Generator:
        """Independent streams, so that labels can be drawn without a face and the other way."""
        streams = ('person', 'votes', 'look')
        return np.random.default_rng(
            [self.seed, SPLITS.index(self.split), index, streams.index(stream)]
        )

    def _draw_age_and_pose(self, index: int) -> tuple[dict[str, float], float]:
        """True age and angles, and the age that the face shows."""
        rng = self._rng(index, 'person')
        age = rng.uniform(*AGES)
        offset = rng.normal(0.0, min(5.0, 0.5 + 0.12 * age))
        angles = rng.uniform(-1.0, 1.0, len(AXES))
        labels = {'age': age}
        for axis, share in zip(AXES, angles, strict=True):
            labels[axis] = float(share * self.pose_range[axis])
        return labels, float(np.clip(age + offset, *AGES))

    def _draw_labels(self, index: int) -> dict:
        labels, shown_age = self._draw_age_and_pose(index)
        info: dict[str, Any] = dict(
            img_path=f'synthetic://faces/{self.seed}/{self.split}/{index}',
            face_index=index,
            **labels,
        )
        if self.target == 'age':
            votes, mean, sigma = draw_votes(self._rng(index, 'votes'), shown_age, self.num_raters)
            info.update(gt_value=mean, gt_sigma=sigma, gt_votes=votes)
        else:
            info['gt_value'] = np.array([labels[axis] for axis in self.axes], np.float32)
        return info


def _announce(target: str) -> None:
    global _announced
    if _announced:
        return
    _announced = True
    if target == 'age':
        own = (
            'To use your own images, write a CSV with the columns file, age and optionally sigma '
            '(AgeDataset) and run `python tools/train.py configs/age/resnet18_dldl_csv.py '
            '--data-root path/to/folder`.'
        )
    else:
        own = (
            'To use your own images, write a CSV with the columns file and one per angle '
            '(HeadPoseDataset); see configs/pose/.'
        )
    print_log(
        'SyntheticFaces: these are rendered faces, not real people; they serve to try the '
        f'software, and figures measured on them say nothing about real faces. {own}',
        logger='current',
    )


def _axes(axes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(axes, str) or not axes or len(set(axes)) != len(axes) or set(axes) - set(AXES):
        raise ValueError(
            f'SyntheticFaces: axes must be different names out of {AXES}, got {axes!r}'
        )
    return tuple(axes)


def _pose_range(given: Mapping[str, float] | None, default: dict[str, float]) -> dict[str, float]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or set(given) - set(AXES):
        raise ValueError(
            f'SyntheticFaces: pose_range must be a dict with keys out of {AXES}, got {given!r}'
        )
    for axis, limit in given.items():
        if isinstance(limit, bool) or not isinstance(limit, numbers.Real) or not 0 <= limit <= 90:
            raise ValueError(
                f'SyntheticFaces: pose_range[{axis!r}] must be a number of degrees from 0 to 90, '
                f'got {limit!r}'
            )
    return {**default, **{axis: float(limit) for axis, limit in given.items()}}

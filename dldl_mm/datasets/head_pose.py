"""Head poses: what the readers of the public sets share, and the reader of CSV files."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dldl_mm.datasets._tables import Row, parse_number, read_table
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.registry import DATASETS

_BOX = ('x1', 'y1', 'x2', 'y2')


class HeadPoseReader(LabelDistributionDataset):
    """Images of heads, annotated with two or three angles.

    ``gt_value`` holds the angles ``axes`` in degrees, as float32 (A,), in one convention for all
    sets: +pitch looks up, +yaw turns to the image's left, +roll is counter-clockwise in the image
    (:func:`~dldl_mm.functional.rotation_from_pose`). Each reader says what its set has and
    converts it. A sample may hold ``face_box``: (x1, y1, x2, y2) in pixels, which
    :class:`~dldl_mm.transforms.CropFaceBox` crops.

    Args:
        ann_file: See :class:`LabelDistributionDataset`.
        axes: The angles of ``gt_value``, in this order.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for an axis that the set does not annotate.
    """

    value_name = 'angle'
    #: The angles that the set annotates.
    ANGLES: tuple[str, ...] = ('pitch', 'yaw', 'roll')

    def __init__(
        self, ann_file: str = '', *, axes: Sequence[str] = ('pitch', 'yaw'), **kwargs: Any
    ) -> None:
        name = type(self).__name__
        if isinstance(axes, str) or not axes or len(set(axes)) < len(axes):
            raise ValueError(f'{name}: axes must be distinct names, got {axes!r}')
        for axis in axes:
            if axis not in self.ANGLES:
                raise ValueError(
                    f'{name} has no axis {axis!r}; it annotates {", ".join(self.ANGLES)}'
                )
        self.axes = tuple(axes)
        super().__init__(ann_file, **kwargs)

    def pose_value(self, angles: Mapping[str, float]) -> np.ndarray:
        """The angles ``axes`` of a sample as float32 (A,)."""
        return np.array([angles[axis] for axis in self.axes], np.float32)


@DATASETS.register_module()
class HeadPoseDataset(HeadPoseReader):
    """Head poses from a CSV file with a header line.

    ================ =====================================================================
    column           meaning
    ================ =====================================================================
    file             image file, relative to ``data_prefix``
    pitch, yaw, roll angles in degrees, at least those of ``axes``: +pitch looks up, +yaw
                     turns to the image's left, +roll is counter-clockwise in the image
    x1, y1, x2, y2   optional: the face box in pixels, left, top, right, bottom
    subject, person  optional: name or number of the person
    any other        kept as text in ``metadata``; ``where`` can select by it
    ================ =====================================================================

    A box that is empty in some rows is refused; annotate all rows or none.

    Args:
        ann_file: The CSV file.
        columns: Column names that differ from those above, ``dict(file='path', yaw='angle_y')``.
        axes: The angles of ``gt_value``, in this order.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a missing column, or a cell that is not a finite number; further errors in
            :class:`LabelDistributionDataset`.
    """

    def __init__(
        self,
        ann_file: str,
        *,
        columns: Mapping[str, str] | None = None,
        axes: Sequence[str] = ('pitch', 'yaw'),
        **kwargs: Any,
    ) -> None:
        self.columns = dict(columns or {})
        roles = ('file', *self.ANGLES, *_BOX, 'subject')
        for role in self.columns:
            if role not in roles:
                raise ValueError(f'columns: unknown key {role!r}; the keys are {", ".join(roles)}')
        super().__init__(ann_file, axes=axes, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the poses; see :class:`LabelDistributionDataset`."""
        header, rows = read_table(self.ann_file)
        subject = 'person' if 'person' in header and 'subject' not in header else 'subject'
        names = {role: role for role in ('file', *self.axes, *_BOX)}
        names = {**names, 'subject': subject, **self.columns}
        wanted = ['file', *self.axes]
        # A part of the corners, like a column that the caller names, must not be passed over.
        for roles in (_BOX, ('subject',)):
            if any(role in self.columns or names[role] in header for role in roles):
                wanted.extend(roles)
        for role in wanted:
            if names[role] not in header:
                raise ValueError(
                    f'{self.ann_file} has no column {names[role]!r}; it has: {", ".join(header)} '
                    f'(columns=dict({role}=…) names another one)'
                )
        names = {role: names[role] for role in wanted}
        return [self._parse_row(row, names) for row in rows]

    def _parse_row(self, row: Row, names: Mapping[str, str]) -> dict[str, Any]:
        source, cells = row
        if not cells[names['file']]:
            raise ValueError(f'{source}: the column {names["file"]!r} is empty')
        angles = {axis: parse_number(cells[names[axis]], axis, source) for axis in self.axes}
        item: dict[str, Any] = {
            'img_path': self.image_path(cells[names['file']]),
            'gt_value': self.pose_value(angles),
            'source': source,
            'metadata': {k: v for k, v in cells.items() if k not in names.values()},
        }
        if 'x1' in names:
            item['face_box'] = [parse_number(cells[names[role]], role, source) for role in _BOX]
        if cells.get(names.get('subject', '')):
            item['subject'] = cells[names['subject']]
        return item

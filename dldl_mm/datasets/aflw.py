"""AFLW: poses in a database file."""

import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from dldl_mm.datasets._tables import parse_number
from dldl_mm.datasets.head_pose import HeadPoseReader
from dldl_mm.registry import DATASETS

# Of a face's rectangles the first: with MIN, SQLite takes the other columns from its row.
_QUERY = """
    SELECT Faces.face_id, FaceImages.filepath,
           FacePose.pitch, FacePose.yaw, FacePose.roll,
           FaceRect.x, FaceRect.y, FaceRect.w, FaceRect.h, MIN(FaceRect.rowid)
    FROM Faces
    JOIN FacePose ON FacePose.face_id = Faces.face_id
    JOIN FaceImages ON FaceImages.file_id = Faces.file_id
    LEFT JOIN FaceRect ON FaceRect.face_id = Faces.face_id
    GROUP BY Faces.face_id
    ORDER BY Faces.face_id
"""


@DATASETS.register_module()
class AFLW(HeadPoseReader):
    """Annotated Facial Landmarks in the Wild: about 24,400 faces (Köstinger et al., 2011).

    Reads ``aflw.sqlite`` as released, the tables ``Faces``, ``FacePose``, ``FaceImages`` and
    ``FaceRect``; the paths in it are relative to ``data_prefix`` (the release's ``data/flickr``).

    The poses were estimated from landmarks with a mean face model. The angles are in radians,
    +pitch looks up, +yaw turns to the image's left, +roll is counter-clockwise in the image: signs
    with which they agree with 300W-LP, except for the roll, which is clockwise there. They are
    converted to degrees only; the release does not say in which order they apply.

    ``face_box`` is the face's rectangle, where it has one. ``face_id`` goes to ``metadata``.

    Args:
        ann_file: The database.
        axes: The angles of ``gt_value``, in this order.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: if the file is no such database, or an angle is missing.
    """

    def load_data_list(self) -> list[dict]:
        """Read the faces that have a pose; see :class:`LabelDistributionDataset`."""
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(f'annotation file {self.ann_file} does not exist')
        name = os.path.basename(self.ann_file)
        uri = f'{Path(self.ann_file).absolute().as_uri()}?mode=ro'
        try:
            with closing(sqlite3.connect(uri, uri=True)) as database:
                rows = database.execute(_QUERY).fetchall()
        except sqlite3.Error as error:
            raise ValueError(f'{self.ann_file} is not the database of AFLW: {error}') from None
        return [self._parse_row(row, f'{name}:{row[0]}') for row in rows]

    def _parse_row(self, row: tuple[Any, ...], source: str) -> dict[str, Any]:
        face, path, pitch, yaw, roll, x, y, width, height, _ = row
        radians = dict(zip(self.ANGLES, (pitch, yaw, roll), strict=True))
        angles = {
            axis: math.degrees(parse_number(angle, axis, source)) for axis, angle in radians.items()
        }
        item: dict[str, Any] = {
            'img_path': self.image_path(path),
            'gt_value': self.pose_value(angles),
            'metadata': {'face_id': face},
            'source': source,
        }
        if x is not None:
            item['face_box'] = [float(x), float(y), float(x + width), float(y + height)]
        return item

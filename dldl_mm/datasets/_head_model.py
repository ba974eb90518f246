"""A small deformable 3-D head, drawn with NumPy and OpenCV.

The head is a loft of three profile curves (front, side, back) on a (rows, columns) grid, to which
linear shape components are added (nose length, jaw width, the proportions of a child, ...). A grid
that is dense enough to leave no gaps is projected point by point, the nearest point of a pixel
wins, and skin, hair, eyes, lips and wrinkles are painted at the visible pixels from the point's
place on the mean head. Everything that does not depend on the face is computed once per process.

Head frame: x to the image's right, y up, z towards the viewer; crown at y = 1, chin at y = -1, eyes
of an adult at y = 0, so one unit is half a head's height.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float32]

GRID = (104, 144)  # rows from the crown to the shoulders, columns around the head
CAMERA_DISTANCE = 8.0  # from the head's centre, in half heads: a mild perspective
NECK_JOINT = np.array([0.0, -0.8, -0.2])
TORSO_FOLLOWS = 0.25  # the share of the head's rotation that the shoulders make

#: Cues of age that vary between people of one age, each with years of its own added.
CUES = ('growth', 'sag', 'forehead', 'eyes', 'folds', 'skin', 'grey', 'hairline', 'lips')

#: Shape components that tell people apart, with their standard deviations.
IDENTITY = {
    'face_width': 0.9,
    'jaw_width': 0.9,
    'face_length': 0.8,
    'cranium': 0.7,
    'nose_length': 0.8,
    'nose_width': 0.8,
    'nose_hump': 0.8,
    'eye_size': 0.5,
    'eye_spacing': 0.7,
    'socket': 0.6,
    'brow_ridge': 0.8,
    'cheekbone': 0.8,
    'fat': 0.8,
    'chin': 0.8,
    'mouth_width': 0.8,
    'lips': 0.7,
    'ear_size': 0.6,
    'ear_angle': 0.7,
}


@dataclass(frozen=True)
class FaceParams:
    """Everything that one picture of a face depends on.

    Replace single fields (``dataclasses.replace``) to draw the same person at another age, in
    another pose or under another light.

    Args:
        age: Age in years that the face shows, before the offsets of the single cues.
        pitch: Degrees, positive looks up.
        yaw: Degrees, positive turns to the image's left.
        roll: Degrees, positive is counter-clockwise in the image.
        cue_offsets: Years added to ``age`` for each of ``CUES``, in this order.
        shape: Weights of the shape components in ``IDENTITY``, in this order.
        skin: Albedo of the skin, (red, green, blue) in [0, 1].
        hair: Albedo of the hair before greying, (red, green, blue).
        iris: Albedo of the irises, (red, green, blue).
        clothes: Albedo of the clothes, (red, green, blue).
        hair_length: 0 is cut short, 1 falls over ears and neck.
        hair_volume: Thickness of the hair in half heads.
        baldness: How much of the hair this person loses with the years, 0 to 1.
        beard: Density of the beard that an adult of this identity wears, 0 to 1.
        wrinkling: Factor on the depth of all wrinkles.
        smile: -1 to 1, corners of the mouth.
        eye_opening: Factor on the opening of the eyes.
        brow_raise: -1 to 1.
        gaze: Offset of the irises in the eyes, (right, up), -1 to 1.
        light: Direction towards the light in the viewer's frame (right, up, towards the viewer).
        light_colour: Factor on each of (red, green, blue).
        ambient: Share of the light that has no direction, 0 to 1.
        exposure: Factor on the brightness of the head.
        scale: Height of the head (crown to chin, two units) as a share of the image's height.
        shift: Offset of the head's centre from the image's centre, (right, up), as a share of the
            image's size.
        blur: Standard deviation of the image's blur, as a share of the image's size.
        noise: Standard deviation of the sensor noise, in grey levels of 255.
        texture_seed: Seed of the background, of the skin's blotches and of the noise.
    """

    age: float = 30.0
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    cue_offsets: tuple[float, ...] = (0.0,) * len(CUES)
    shape: tuple[float, ...] = (0.0,) * len(IDENTITY)
    skin: tuple[float, float, float] = (0.86, 0.66, 0.55)
    hair: tuple[float, float, float] = (0.26, 0.17, 0.11)
    iris: tuple[float, float, float] = (0.30, 0.42, 0.50)
    clothes: tuple[float, float, float] = (0.25, 0.34, 0.48)
    hair_length: float = 0.0
    hair_volume: float = 0.1
    baldness: float = 0.2
    beard: float = 0.0
    wrinkling: float = 1.0
    smile: float = 0.1
    eye_opening: float = 1.0
    brow_raise: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float, float] = (0.35, 0.5, 0.8)
    light_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ambient: float = 0.45
    exposure: float = 1.0
    scale: float = 0.66
    shift: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.0
    noise: float = 0.0
    texture_seed: int = 0


def rotation_matrix(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    r"""Rotation of the head for angles in degrees.

    .. math:: R = R_z(roll) \, R_y(-yaw) \, R_x(-pitch)

    in the frame x right, y up, z towards the viewer: the nose, R (0, 0, 1), has ``yaw`` as its
    azimuth towards the image's left and ``pitch`` as its elevation (both before the roll), and a
    roll turns the picture in its plane.

    Returns:
        (3, 3) matrix that maps head coordinates to the viewer's.
    """
    p, y, r = np.radians([-pitch, -yaw, roll])
    rx = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return rz @ ry @ rx


def project_points(
    points: NDArray[np.floating], params: FaceParams, size: int
) -> NDArray[np.float64]:
    """Where points that are fixed to the head appear in the image.

    Args:
        points: (P, 3) in the head frame.
        params: The face; only its pose, scale and shift matter.
        size: Width and height of the image in pixels.

    Returns:
        (P, 2) columns and rows in pixels, where (0, 0) is the centre of the upper left pixel.
    """
    rotation = rotation_matrix(params.pitch, params.yaw, params.roll)
    rotated = np.einsum('ij,pj->ip', rotation, np.asarray(points, np.float64))
    return np.stack(_to_pixels(rotated, params, size), axis=1)


def _to_pixels(rotated: NDArray, params: FaceParams, size: int) -> tuple[NDArray, NDArray]:
    """Columns and rows of points (3, P) in the viewer's frame."""
    factor = (0.5 * params.scale * size) / (1.0 - rotated[2] / CAMERA_DISTANCE)
    right = (0.5 + params.shift[0]) * size - 0.5
    down = (0.5 - params.shift[1]) * size - 0.5
    return right + factor * rotated[0], down - factor * rotated[1]


# ---------------------------------------------------------------------------------------------
# The mean head and its shape components
# ---------------------------------------------------------------------------------------------
# Knots (v, y, z) of the profile at the front and at the back, (v, y, z, x) at the side.
_FRONT = np.array([
    (0.00, 1.00, -0.10), (0.08, 0.95, 0.28), (0.16, 0.76, 0.60), (0.25, 0.46, 0.75),
    (0.33, 0.18, 0.80), (0.39, 0.00, 0.765), (0.45, -0.20, 0.775), (0.53, -0.45, 0.79),
    (0.59, -0.63, 0.79), (0.64, -0.76, 0.755), (0.69, -0.90, 0.76), (0.735, -1.00, 0.66),
    (0.79, -1.03, 0.36), (0.84, -1.16, 0.22), (0.90, -1.42, 0.20), (0.94, -1.56, 0.33),
    (1.00, -2.75, 0.62),
])  # fmt: skip
_BACK = np.array([
    (0.00, 1.00, -0.10), (0.08, 0.94, -0.48), (0.18, 0.72, -0.82), (0.30, 0.40, -0.98),
    (0.40, 0.10, -1.00), (0.50, -0.20, -0.90), (0.60, -0.50, -0.70), (0.70, -0.75, -0.56),
    (0.80, -1.00, -0.53), (0.90, -1.38, -0.60), (0.94, -1.52, -0.70), (1.00, -2.75, -0.95),
])  # fmt: skip
_SIDE = np.array([
    (0.00, 1.00, -0.10, 0.00), (0.04, 0.97, -0.10, 0.25), (0.10, 0.87, -0.10, 0.46),
    (0.20, 0.62, -0.08, 0.655), (0.30, 0.36, -0.06, 0.72), (0.40, 0.06, -0.04, 0.715),
    (0.50, -0.22, -0.02, 0.68), (0.60, -0.46, 0.00, 0.625), (0.67, -0.62, 0.02, 0.57),
    (0.73, -0.78, -0.02, 0.47), (0.79, -0.92, -0.10, 0.395), (0.84, -1.08, -0.16, 0.375),
    (0.90, -1.36, -0.18, 0.41), (0.93, -1.48, -0.18, 0.62), (0.955, -1.58, -0.18, 1.00),
    (1.00, -2.75, -0.18, 1.45),
])  # fmt: skip


def _gauss(distance: NDArray, width: float) -> NDArray:
    return np.exp(-0.5 * (distance / width) ** 2)


def _ramp(x: NDArray | float, low: float, high: float) -> NDArray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class _Mesh:
    """The mean head: arrays over its vertices, with the coordinates first (fast in NumPy)."""

    mean: Array  # (3, V)
    names: tuple[str, ...]  # of the C shape components
    components: Array  # (C, 3 V)
    angle: Array  # (V,) around the head, 0 at the front, radians
    torso: Array  # (V,) share of the vertex that belongs to the shoulders
    outward: Array  # (3, V) unit normals of the mean head without its features
    hair: tuple[NDArray, ...]  # (V,) each: see _hair_fields


@lru_cache(maxsize=1)
def _mesh() -> _Mesh:
    rows, columns = GRID
    v = np.interp(np.linspace(0.0, 1.0, rows), [0.0, 0.86, 1.0], [0.002, 0.9, 1.0])[:, None]
    s = np.linspace(-1.0, 1.0, columns)[None]
    angle = np.pi * (0.62 * s + 0.38 * s**3) + 0.0 * v  # denser on the face
    sin, cos = np.sin(angle), np.cos(angle)
    front = PchipInterpolator(_FRONT[:, 0], _FRONT[:, 1:])(v[:, 0])[:, None]
    back = PchipInterpolator(_BACK[:, 0], _BACK[:, 1:])(v[:, 0])[:, None]
    side = PchipInterpolator(_SIDE[:, 0], _SIDE[:, 1:])(v[:, 0])[:, None]
    end = np.where(cos[..., None] > 0, front, back)
    weight = np.abs(cos)
    x = side[..., 2] * np.sign(sin) * np.abs(sin) ** 0.92
    y = side[..., 0] + (end[..., 0] - side[..., 0]) * weight**1.4
    z = side[..., 1] + (end[..., 1] - side[..., 1]) * weight**0.96
    face = _ramp(cos, 0.0, 0.25)
    torso = _ramp(v + 0 * s, 0.84, 0.935)
    head = 1.0 - torso
    left = np.abs(x)  # both halves at once: the head is symmetric

    def spot(x0: float, y0: float, wx: float, wy: float) -> NDArray:
        return _gauss(left - x0, wx) * _gauss(y - y0, wy) * face

    zero = np.zeros_like(x)
    sign = np.sign(x)

    def along(dx: NDArray = zero, dy: NDArray = zero, dz: NDArray = zero) -> Array:
        return np.stack([dx * sign, dy, dz]).reshape(3, -1).astype(np.float32)

    def scaling(x0: float, y0: float, wx: float, wy: float, fx: float, fy: float) -> Array:
        """Enlarge the surroundings of a point in x and y."""
        near = spot(x0, y0, wx, wy)
        return along((left - x0) * near * fx, (y - y0) * near * fy)

    # The ridge of the nose rises down to the tip and ends in a step above the lip.
    rise = np.clip((0.12 - y) / 0.47, 0.0, 1.0) ** 1.25 * (1.0 - _ramp(-y, 0.33, 0.475))
    ridge = rise * _gauss(left, 0.055 + 0.03 * rise) * face
    wings = spot(0.095, -0.375, 0.05, 0.05)
    tip = spot(0.0, -0.34, 0.075, 0.075)
    upper_lip, lower_lip = spot(0.0, -0.595, 0.15, 0.04), spot(0.0, -0.70, 0.13, 0.045)
    mouth_line = spot(0.0, -0.645, 0.17, 0.016)
    eye_socket, eyeball = spot(0.29, 0.0, 0.13, 0.085), spot(0.295, -0.005, 0.085, 0.06)
    along_head = _gauss(np.abs(angle) - np.pi / 2 - 0.06, 0.15)
    ear = (_ramp(y, -0.45, -0.3) - _ramp(y, 0.1, 0.22)) * along_head * (cos < 0.3)
    lower = _ramp(-y, -0.02, 0.75) * head

    parts = {
        'features': along(
            dx=0.11 * ear,
            dz=0.165 * ridge + 0.06 * tip + 0.055 * wings - 0.115 * eye_socket + 0.075 * eyeball
            + 0.035 * spot(0.27, 0.17, 0.2, 0.05) + 0.05 * upper_lip + 0.055 * lower_lip
            - 0.035 * mouth_line + 0.035 * spot(0.0, -0.9, 0.12, 0.07)
            - 0.025 * spot(0.0, -0.8, 0.14, 0.035) - 0.05 * ear,
        ),
        'face_width': along(0.055 * left * head),
        'jaw_width': along(0.10 * left * lower),
        'face_length': along(dy=0.07 * y * (y < 0) * head),
        'cranium': along(dy=0.06 * y * (y > 0), dz=0.03 * z * (y > 0)),
        'nose_length': along(dy=-0.045 * spot(0, -0.36, 0.15, 0.1), dz=0.05 * ridge + 0.02 * tip),
        'nose_width': scaling(0.0, -0.36, 0.13, 0.12, 0.22, 0.0),
        'nose_hump': along(dz=0.035 * spot(0.0, -0.1, 0.06, 0.09)),
        'eye_size': scaling(0.29, 0.0, 0.16, 0.13, 0.14, 0.14),
        'eye_spacing': along(0.022 * spot(0.29, 0.03, 0.16, 0.16)),
        'socket': along(dz=-0.04 * spot(0.27, 0.03, 0.14, 0.08)),
        'brow_ridge': along(dz=0.035 * spot(0.22, 0.17, 0.2, 0.05)),
        'cheekbone': along(0.025 * spot(0.47, -0.2, 0.13, 0.1),
                           dz=0.045 * spot(0.4, -0.2, 0.13, 0.1)),
        'fat': along(0.07 * spot(0.5, -0.5, 0.2, 0.22), dy=-0.03 * spot(0, -0.98, 0.4, 0.1),
                     dz=0.05 * spot(0.4, -0.5, 0.16, 0.2)),
        'chin': along(dy=-0.03 * spot(0, -0.95, 0.2, 0.1), dz=0.055 * spot(0, -0.92, 0.17, 0.1)),
        'mouth_width': scaling(0.0, -0.64, 0.2, 0.09, 0.16, 0.0),
        'lips': along(dz=0.03 * (upper_lip + lower_lip)) + scaling(0, -0.645, 0.22, 0.06, 0, 0.25),
        'ear_size': along(dy=0.15 * (y + 0.15) * ear, dx=0.02 * ear),
        'ear_angle': along(dx=0.05 * ear, dz=0.02 * ear),
        # A child: high forehead, features low and close together, large eyes, full cheeks, flat
        # nose, short and narrow jaw, thin neck.
        'child': along(
            dx=0.05 * spot(0.5, -0.42, 0.2, 0.2) - 0.1 * left * _ramp(-y, 0.7, 1.0) * head
            - 0.26 * left * _ramp(-y, 0.95, 1.25) + 0.03 * left * (y > 0) - 0.02 * ear,
            dy=-0.15 * _gauss(y - 0.06, 0.34) * face * head + 0.09 * _ramp(-y, 0.45, 0.95) * head,
            dz=-0.085 * ridge - 0.02 * tip - 0.03 * wings + 0.05 * eye_socket - 0.02 * eyeball
            + 0.06 * spot(0.3, -0.5, 0.2, 0.17) + 0.05 * spot(0.0, 0.4, 0.4, 0.25)
            - 0.05 * spot(0.0, -0.92, 0.2, 0.1) - 0.035 * spot(0.27, 0.17, 0.2, 0.05),
        )
        + scaling(0.29, 0.0, 0.16, 0.13, 0.34, 0.4)
        + scaling(0.0, -0.64, 0.2, 0.09, -0.22, 0.0)
        + scaling(0.0, -0.36, 0.15, 0.12, -0.25, -0.25),
        # An old face: jowls, hollow temples and cheeks, bags under the eyes, a drooping nose tip,
        # longer ears.
        'old': along(
            dx=0.03 * spot(0.42, -0.76, 0.1, 0.09) - 0.045 * spot(0.6, 0.2, 0.12, 0.12)
            - 0.04 * spot(0.5, -0.42, 0.1, 0.12) + 0.02 * ear,
            dy=-0.07 * spot(0.42, -0.74, 0.14, 0.12) - 0.05 * spot(0, -0.36, 0.14, 0.09)
            + 0.2 * (y + 0.1) * ear - 0.05 * spot(0.16, -0.98, 0.3, 0.1)
            - 0.02 * spot(0.3, 0.15, 0.2, 0.08),
            dz=0.03 * spot(0.4, -0.78, 0.1, 0.07) + 0.02 * ridge
            - 0.04 * spot(0.42, -0.45, 0.1, 0.1)
            + 0.035 * spot(0.29, -0.135, 0.1, 0.035) - 0.03 * spot(0.29, 0.05, 0.14, 0.05)
            - 0.02 * (upper_lip + lower_lip),
        ),
        'smile': along(
            dx=0.03 * spot(0.21, -0.64, 0.08, 0.06) + 0.01 * spot(0.42, -0.4, 0.12, 0.12),
            dy=0.05 * spot(0.22, -0.64, 0.08, 0.07) + 0.03 * spot(0.38, -0.35, 0.12, 0.12),
            dz=0.04 * spot(0.38, -0.34, 0.12, 0.1) - 0.02 * spot(0.23, -0.64, 0.06, 0.06),
        ),
        'brow_raise': along(dy=0.035 * spot(0.29, 0.2, 0.22, 0.09)),
    }  # fmt: skip
    loft = np.stack([x, y, z]).reshape(3, -1).astype(np.float32)
    mean = loft + parts.pop('features')
    hair = _hair_fields(mean[0], mean[1], angle.ravel())
    return _Mesh(
        mean=mean,
        names=tuple(parts),
        components=np.stack([part.ravel() for part in parts.values()]),
        angle=angle.ravel().astype(np.float32),
        torso=torso.ravel().astype(np.float32),
        outward=_normals(loft),
        hair=tuple(field.astype(np.float32) for field in hair),
    )


def _normals(vertices: Array) -> Array:
    """Unit normals (3, V), pointing outwards, of a grid of vertices (3, V)."""
    grid = vertices.reshape(3, *GRID)
    down, right = np.empty_like(grid), np.empty_like(grid)
    np.subtract(grid[:, 2:], grid[:, :-2], out=down[:, 1:-1])
    down[:, 0], down[:, -1] = grid[:, 1] - grid[:, 0], grid[:, -1] - grid[:, -2]
    np.subtract(grid[:, :, 2:], grid[:, :, :-2], out=right[:, :, 1:-1])
    # The seam at the back of the head.
    right[:, :, 0] = right[:, :, -1] = grid[:, :, 1] - grid[:, :, -2]
    normal = np.empty_like(grid)
    for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        normal[i] = down[j] * right[k] - down[k] * right[j]
    normal /= np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-9
    return normal.reshape(3, -1)


# ---------------------------------------------------------------------------------------------
# Maps on the dense grid: what the paint needs to know about a point, the same for every face
# ---------------------------------------------------------------------------------------------
WRINKLES = ('forehead', 'eyes', 'folds', 'skin')  # groups, each with the age of one cue


def _lines(x: NDArray, y: NDArray, lines: list[tuple[list, float, float]]) -> NDArray:
    """Height of grooves along polylines: [(points, width, depth), ...]."""
    height = np.zeros_like(x)
    for points, width, depth in lines:
        nearest = np.full_like(x, 9.0)
        strength = np.zeros_like(x)
        corners = np.asarray(points, np.float64)
        for i, (a, b) in enumerate(itertools.pairwise(corners)):
            along = b - a
            t = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / (along @ along), 0, 1)
            distance = np.hypot(x - a[0] - t * along[0], y - a[1] - t * along[1])
            closer = distance < nearest
            nearest = np.where(closer, distance, nearest)
            position = (i + t) / (len(corners) - 1)
            strength = np.where(closer, np.sin(np.pi * np.clip(position, 0.06, 0.94)), strength)
        height -= depth * np.sqrt(strength) * _gauss(nearest, width)
    return height


def _wrinkle_heights(x: NDArray, y: NDArray) -> dict[str, NDArray]:
    left = np.abs(x)
    wave = np.linspace(0.0, 0.46, 8)

    def across(height: float, bend: float, reach: float) -> list:
        return [(w * reach, height + bend * np.cos(6.0 * w) - 0.12 * w * w) for w in wave]

    return {
        'forehead': _lines(left, y, [
            (across(0.31, 0.012, 0.85), 0.016, 1.0), (across(0.385, 0.016, 1.0), 0.017, 1.0),
            (across(0.46, 0.012, 0.95), 0.016, 0.9), (across(0.535, 0.010, 0.75), 0.015, 0.6),
            ([(0.045, 0.26), (0.05, 0.18), (0.042, 0.09)], 0.014, 1.0),
        ]),
        'eyes': _lines(left, y, [
            ([(0.45, 0.02), (0.51, 0.05), (0.58, 0.10)], 0.013, 0.9),
            ([(0.455, -0.01), (0.53, -0.01), (0.61, 0.0)], 0.013, 1.0),
            ([(0.45, -0.04), (0.51, -0.07), (0.58, -0.12)], 0.013, 0.9),
            ([(0.15, -0.06), (0.22, -0.125), (0.32, -0.14), (0.41, -0.10)], 0.018, 1.0),
            ([(0.19, -0.12), (0.27, -0.185), (0.37, -0.18)], 0.020, 0.7),
        ]),
        'folds': _lines(left, y, [
            ([(0.13, -0.36), (0.19, -0.43), (0.245, -0.53), (0.27, -0.66)], 0.024, 1.5),
            ([(0.225, -0.67), (0.25, -0.76), (0.245, -0.87)], 0.020, 1.1),
            ([(0.38, -0.42), (0.39, -0.55), (0.36, -0.68)], 0.020, 0.7),
            ([(0.06, -0.795), (0.0, -0.785), (-0.06, -0.795)], 0.018, 0.5),
        ]),
        'skin': _lines(left, y, [
            *[([(r, -0.555), (r * 0.95, -0.50)], 0.009, 0.7) for r in (0.03, 0.075, 0.12)],
            ([(0.46, -0.30), (0.45, -0.42), (0.47, -0.55)], 0.016, 0.6),
            ([(0.52, -0.20), (0.53, -0.36), (0.50, -0.5)], 0.014, 0.5),
            ([(0.0, -1.17), (0.16, -1.15), (0.32, -1.09)], 0.02, 1.0),
            ([(0.0, -1.29), (0.18, -1.27), (0.34, -1.22)], 0.02, 0.9),
        ]),
    }  # fmt: skip


_COLUMNS = (
    'x', 'y', 'face', 'shade', 'red', 'hair_short', 'hair_long', 'hair_front', 'hair_crown',
    'beard', 'strand', 'spots', 'torso',
    *(f'{kind}_{name}' for name in WRINKLES for kind in ('h', 'dx', 'dy')),
)  # fmt: skip


def _hair_fields(x: NDArray, y: NDArray, angle: NDArray) -> tuple[NDArray, ...]:
    """Signed fields, positive where hair grows: short, long; and where it goes with the years."""
    around = np.abs(angle)
    # Lower end of the hair by the angle around the head: front, temple, sideburn, over the ear,
    # behind it, nape.
    stops = np.array([0.0, 0.35, 0.62, 0.85, 1.12, 1.22, 1.42, 1.72, 1.86, 2.3, np.pi])
    short = np.array([0.61, 0.62, 0.57, 0.35, 0.17, -0.12, 0.20, 0.20, -0.30, -0.62, -0.68])
    long = np.array([0.57, 0.54, 0.46, 0.24, -0.70, -1.00, -1.25, -1.4, -1.4, -1.4, -1.4])
    return (
        np.minimum(y - np.interp(around, stops, short), 0.35),
        np.minimum(y - np.interp(around, stops, long), 0.6),
        _ramp(-around, -1.2, -0.3) * (1 + 0.5 * _gauss(around - 0.62, 0.2)),
        _ramp(y, 0.4, 0.85),
    )


def _densify(plane: Array, shape: tuple[int, int]) -> Array:
    """Values at the vertices, interpolated to a grid of this shape, flat."""
    return cv2.resize(plane.reshape(GRID), shape[::-1], interpolation=cv2.INTER_LINEAR).ravel()


@lru_cache(maxsize=4)
def _dense_maps(shape: tuple[int, int]) -> Array:
    """The maps of ``_COLUMNS``, (points, columns), for a dense grid of this shape."""
    mesh = _mesh()
    x, y, z, angle, torso = (
        _densify(plane, shape).astype(np.float64) for plane in (*mesh.mean, mesh.angle, mesh.torso)
    )
    left = np.abs(x)
    cos = np.cos(angle)
    face = _ramp(cos, 0.05, 0.3) * (y > -1.1)
    neck = _ramp(-y, 0.97, 1.08) * _ramp(-z, -0.62, -0.42) * (1 - _ramp(-y, 1.2, 1.5))
    ear_hole = _gauss(np.abs(angle) - 1.52, 0.06) * _gauss(y + 0.12, 0.1)
    shade = (
        0.30 * face * _gauss(left - 0.15, 0.06) * _gauss(y - 0.02, 0.07)
        + 0.18 * face * _gauss(left - 0.29, 0.13) * _gauss(y - 0.075, 0.03)
        + 0.40 * face * _gauss(left - 0.045, 0.025) * _gauss(y + 0.435, 0.014)
        + 0.22 * face * _gauss(left, 0.13) * _gauss(y + 0.455, 0.02)
        + 0.22 * face * _gauss(left, 0.12) * _gauss(y + 0.79, 0.03)
        + 0.45 * neck
        + 0.35 * ear_hole
    )
    red = face * (
        0.7 * _gauss(left - 0.42, 0.14) * _gauss(y + 0.32, 0.12)
        + 0.8 * _gauss(left, 0.1) * _gauss(y + 0.34, 0.08)
    ) + 0.6 * _gauss(np.abs(angle) - 1.62, 0.2) * _ramp(left, 0.74, 0.8)
    beard = face * np.clip(
        _ramp(-y, 0.3, 0.6) * _ramp(left + 0.25 * (y + 0.6) ** 2, 0.3, 0.42)
        + _ramp(-y, 0.72, 0.8)
        + _ramp(-y, 0.47, 0.5) * _ramp(y, -0.6, -0.56) * _ramp(-left, -0.26, -0.2),
        0.0, 1.0,
    )  # fmt: skip
    rng = np.random.default_rng(20170629)
    lock = rng.standard_normal((6, 170)).astype(np.float32)
    fine = cv2.resize(lock, shape[::-1], interpolation=cv2.INTER_CUBIC).ravel()
    spot = rng.standard_normal((60, 84)).astype(np.float32)
    spots = cv2.resize(spot, shape[::-1], interpolation=cv2.INTER_CUBIC).ravel()
    maps = [x, y, face, shade, red, *_hair_fields(x, y, angle), beard, fine]
    maps += [_ramp(spots, 1.3, 2.0), torso]
    front = _ramp(cos, 0.1, 0.35)
    step = 1e-3
    lined = np.flatnonzero((front > 0) & (y < 0.7) & (y > -1.4))
    x, y = x[lined], y[lined]
    h, hx, hy = (
        _wrinkle_heights(x + dx, y + dy) for dx, dy in ((0.0, 0.0), (step, 0.0), (0.0, step))
    )
    for name in WRINKLES:
        for part in (h[name], (hx[name] - h[name]) / step, (hy[name] - h[name]) / step):
            wrinkle = np.zeros_like(front)
            wrinkle[lined] = part * front[lined]
            maps.append(wrinkle)
    return np.stack(maps, axis=1).astype(np.float32)


# ---------------------------------------------------------------------------------------------
# How age acts on the cues
# ---------------------------------------------------------------------------------------------
def _cue_weights(params: FaceParams) -> dict[str, float]:
    """Strength of each sign of age for this face."""
    if len(params.cue_offsets) != len(CUES):
        raise ValueError(f'cue_offsets has {len(params.cue_offsets)} values, expected {len(CUES)}')
    years = {c: params.age + o for c, o in zip(CUES, params.cue_offsets, strict=True)}

    def curve(cue: str, *knots: tuple[float, float]) -> float:
        at, value = zip(*knots, strict=True)
        return float(np.interp(years[cue], at, value))

    lines = ((22, 0.0), (32, 0.12), (42, 0.30), (52, 0.52), (62, 0.76), (75, 1.05), (95, 1.45))
    return {
        'child': curve(
            'growth', (-5, 1.35), (1, 1.1), (3, 0.92), (6, 0.74), (10, 0.52), (14, 0.3), (18, 0.1),
            (23, 0.0),
        ),
        'old': curve('sag', (28, 0.0), (45, 0.25), (60, 0.65), (75, 1.1), (95, 1.7)),
        'forehead': curve('forehead', *lines),
        'eyes': curve('eyes', *lines),
        'folds': curve('folds', (14, 0.0), (25, 0.12), (40, 0.36), (60, 0.8), (75, 1.1), (95, 1.4)),
        'skin': curve('skin', *lines),
        'blotches': curve('skin', (10, 0.15), (30, 0.4), (60, 0.9), (90, 1.5)),
        'grey': curve('grey', (32, 0.0), (42, 0.12), (52, 0.4), (62, 0.72), (72, 0.93), (85, 1.0)),
        'bald': curve('hairline', (20, 0.0), (35, 0.25), (50, 0.55), (65, 0.85), (90, 1.1)),
        'fluff': curve('hairline', (0, 1.0), (1, 0.8), (3, 0.2), (5, 0.0)),
        'thin_lips': curve('lips', (15, 0.0), (40, 0.25), (60, 0.6), (90, 1.1)),
        'man': curve('growth', (14, 0.0), (22, 1.0)),
    }  # fmt: skip


def _hair_field(params: FaceParams, cue: dict[str, float], maps: tuple[NDArray, ...]) -> NDArray:
    """Signed field that is positive where this person has hair."""
    short, long, front, crown = maps
    lost = params.baldness * cue['bald']
    field = short + params.hair_length * (long - short)
    return field - (0.42 * lost + 0.10 * cue['fluff']) * front - 1.1 * max(lost - 0.45, 0.0) * crown


def _vertices(params: FaceParams, cue: dict[str, float]) -> Array:
    """Vertices of this face in the viewer's frame, (3, V)."""
    if len(params.shape) != len(IDENTITY):
        raise ValueError(f'shape has {len(params.shape)} values, expected {len(IDENTITY)}')
    mesh = _mesh()
    weight = dict(zip(IDENTITY, params.shape, strict=True))
    weight['child'], weight['old'] = cue['child'], cue['old']
    weight['smile'], weight['brow_raise'] = params.smile, params.brow_raise
    weight['lips'] -= 0.9 * cue['thin_lips']
    # einsum, not a BLAS product, whose rounding may depend on the number of threads: an image
    # must be the same in the main process and in every worker.
    vector = np.array([weight[name] for name in mesh.names], np.float32)
    head = mesh.mean + np.einsum('c,cn->n', vector, mesh.components).reshape(3, -1)
    field = _hair_field(params, cue, mesh.hair)
    thick = _ramp(field, 0.015, 0.19) * (params.hair_volume * (1 - 0.5 * cue['fluff']))
    if params.hair_length > 0:
        below = _ramp(field, 0.05, 0.5) * _ramp(-head[1], -0.5, 0.4)
        thick += 0.1 * params.hair_length * below
    head += mesh.outward * (thick * (1 - mesh.torso))

    rotation = rotation_matrix(params.pitch, params.yaw, params.roll)
    body = rotation_matrix(*(TORSO_FOLLOWS * a for a in (params.pitch, params.yaw, params.roll)))
    turned = np.einsum('ij,jv->iv', rotation.astype(np.float32), head)
    # The shoulders turn about the joint of the neck, which the head has carried along.
    moved = np.einsum('ij,jv->iv', (body - rotation).astype(np.float32), head)
    joint = np.einsum('ij,j->i', rotation - body, NECK_JOINT).astype(np.float32)
    return turned + mesh.torso * (moved + joint[:, None])


def _visible_points(
    vertices: Array, params: FaceParams, size: int
) -> tuple[NDArray[np.intp], Array, Array]:
    """The nearest point of the dense grid at every pixel that the head covers.

    Returns:
        covered: (M,) flat indices of the covered pixels.
        normals: (3, M) normals there in the viewer's frame, not quite of unit length.
        maps: (columns, M) what ``_dense_maps`` knows about the points that are seen there.
    """
    # About one pixel between neighbours on the face; one grid serves all scales up to 0.8, so that
    # the maps are computed once.
    span = size * max(0.8, np.ceil(5 * params.scale) / 5)
    shape = (int(2.6 * span), int(2.8 * span))
    normals = _normals(vertices)
    across, down = _to_pixels(vertices, params, size)
    front = np.flatnonzero(_densify(normals[2], shape) > -0.1)
    column = np.rint(_densify(across, shape)[front]).astype(np.int32)
    row = np.rint(_densify(down, shape)[front]).astype(np.int32)
    depth = _densify((vertices[2] + 4.0) * 8192.0, shape)[front].astype(np.uint16)
    pixel = row * size + column
    # One comparison finds what is outside on either end: a negative value wraps to a large one.
    outside = (column.view(np.uint32) >= size) | (row.view(np.uint32) >= size)
    pixel[outside] = size * size
    # Painter's algorithm: the nearest point of a pixel is written last. A stable sort of 16-bit
    # keys is a radix sort, ten times faster than one of floats.
    order = np.argsort(depth, kind='stable')
    seen = np.full(size * size + 1, -1, np.intp)
    seen[pixel[order]] = front[order]
    seen = _fill_gaps(seen[:-1].reshape(size, size)).ravel()
    covered = np.flatnonzero(seen >= 0)
    visible = seen[covered]
    shown = np.stack([_densify(plane, shape)[visible] for plane in normals])
    return covered, shown, np.ascontiguousarray(_dense_maps(shape)[visible].T)


def _fill_gaps(seen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give pixels between covered ones a neighbour's point: steep places leave small gaps."""
    for reach in range(1, 1 + max(3, len(seen) // 40)):
        for image in (seen, seen.T):
            before, here, after = image[: -2 * reach], image[reach:-reach], image[2 * reach :]
            gap = (here < 0) & (before >= 0) & (after >= 0)
            here[gap] = before[gap]
    return seen


# ---------------------------------------------------------------------------------------------
# Paint
# ---------------------------------------------------------------------------------------------
def _mix(colour: Array, other: NDArray | tuple[float, float, float], share: NDArray) -> None:
    """Move colours (3, M) towards others, (3, M) or one, by a share (M,), in place."""
    other = np.asarray(other, np.float32)
    colour += share * ((other if other.ndim == 2 else other[:, None]) - colour)


def _paint_eyes(
    albedo: Array, x: NDArray, y: NDArray, face: NDArray, params: FaceParams, cue: dict
) -> NDArray:
    """Eyes and lashes, in place; returns the share of each point that is wet, for the gloss."""
    wet = np.zeros(len(x), np.float32)
    near = np.flatnonzero((np.abs(np.abs(x) - 0.29) < 0.19) & (np.abs(y) < 0.13) & (face > 0.3))
    if not len(near):
        return wet
    ex, ey = np.abs(x[near]) - 0.29, y[near]
    along = np.clip(ex / 0.135, -1.15, 1.15)
    lid = np.clip(1.0 - along**2, 0.0, None)
    opening = params.eye_opening
    upper = (0.072 - 0.022 * cue['old']) * opening * lid**0.8 + 0.012 * along
    lower = -0.046 * opening * lid + 0.012 * along
    soft = 0.012
    inside = _ramp(ey - lower, -soft, soft) * _ramp(upper - ey, -soft, soft) * (lid > 0)
    gaze_x, gaze_y = params.gaze
    radius = np.hypot(ex - 0.03 * gaze_x * np.sign(x[near]), ey - 0.008 - 0.02 * gaze_y)
    white = np.array([0.90, 0.89, 0.87]) - 0.06 * min(cue['old'], 1.0) * np.array([0.3, 0.6, 1.4])
    colour = np.repeat(white[:, None].astype(np.float32), len(near), axis=1)
    colour *= 1.0 - 0.25 * _ramp(np.abs(along), 0.4, 1.0) - 0.25 * _ramp(ey - upper, -0.04, 0.0)
    _mix(colour, params.iris, _ramp(-radius, -0.064, -0.052))
    _mix(colour, (0.05, 0.04, 0.04), _ramp(-radius, -0.031, -0.022))
    shown = albedo[:, near]
    _mix(shown, colour, inside)
    lash = _gauss(ey - upper - 0.004, 0.011) * _ramp(lid, 0.0, 0.25) * 0.85
    lash += _gauss(ey - lower, 0.008) * _ramp(lid, 0.0, 0.3) * 0.35
    crease = _gauss(ey - upper - 0.035 + 0.012 * cue['old'], 0.009) * _ramp(lid, 0.05, 0.4) * 0.4
    _mix(shown, (0.10, 0.06, 0.05), np.clip(lash, 0, 1))
    shown *= 1.0 - crease
    albedo[:, near] = shown
    wet[near] = inside
    return wet


def _paint_lips(
    albedo: Array, x: NDArray, y: NDArray, face: NDArray, params: FaceParams, cue: dict
) -> None:
    near = np.flatnonzero((np.abs(x) < 0.26) & (np.abs(y + 0.645) < 0.14) & (face > 0.3))
    if not len(near):
        return
    lx, ly = np.abs(x[near]) / 0.205, y[near] + 0.645
    inside = np.clip(1.0 - lx * lx, 0.0, None)
    line = 0.022 * params.smile * lx * lx - 0.004
    full = max(1.0 - 0.55 * cue['thin_lips'], 0.3)
    top = line + full * (0.062 * inside**0.8 + 0.014 * _gauss(lx - 0.2, 0.14) - 0.006)
    bottom = line - full * 0.078 * inside**0.7
    lip = _ramp(top - ly, -0.008, 0.012) * _ramp(ly - bottom, -0.012, 0.01) * (inside > 0)
    shown = albedo[:, near]
    red = shown * np.array([[0.90], [0.62], [0.64]], np.float32)
    red[0] += 0.05
    _mix(shown, red, lip * (0.9 - 0.35 * min(cue['thin_lips'], 1.2)))
    shown *= 1.0 - 0.6 * _gauss(ly - line, 0.010) * _ramp(1.06 - lx, 0.0, 0.12)
    albedo[:, near] = shown


def _paint_brows(
    albedo: Array, x: NDArray, y: NDArray, face: NDArray, hair: NDArray, cue: dict
) -> None:
    near = np.flatnonzero(
        (np.abs(np.abs(x) - 0.30) < 0.25) & (np.abs(y - 0.18) < 0.12) & (face > 0.3)
    )
    if not len(near):
        return
    bx = (np.abs(x[near]) - 0.09) / 0.40  # 0 at the inner end, 1 at the outer
    middle = 0.150 + 0.055 * np.sin(np.clip(bx, 0, 1) * 2.3) - 0.03 * np.clip(bx, 0, 1) ** 3
    thick = 0.034 * (1.0 - 0.65 * np.clip(bx, 0, 1)) * (1.0 - 0.35 * min(cue['child'], 1.0))
    cover = _ramp(thick - np.abs(y[near] - middle), -0.012, 0.014) * _ramp(bx, -0.04, 0.1)
    cover *= _ramp(1.02 - bx, 0.0, 0.2) * (0.85 - 0.4 * min(cue['child'], 1.1))
    shown = albedo[:, near]
    _mix(shown, hair[:, near], cover)
    albedo[:, near] = shown


def _shade(params: FaceParams, cue: dict[str, float], normals: Array, maps: Array) -> Array:
    """Colours, (3, M) red, green, blue in [0, 1] and beyond, of the visible points."""
    column = dict(zip(_COLUMNS, maps, strict=True))
    x, y, face, strand = (column[name] for name in ('x', 'y', 'face', 'strand'))

    # Wrinkles bend the normal along the head's own x and y axes and darken their ground.
    depth = np.array([params.wrinkling * cue[name] for name in WRINKLES], np.float32)
    wrinkles = maps[-3 * len(WRINKLES) :].reshape(len(WRINKLES), 3, -1)
    ground, *slopes = np.einsum('w,wkm->km', depth, wrinkles)
    rotation = rotation_matrix(params.pitch, params.yaw, params.roll).astype(np.float32)
    bent = normals - 0.011 * (rotation[:, :1] * slopes[0] + rotation[:, 1:2] * slopes[1])
    bent /= np.sqrt(bent[0] ** 2 + bent[1] ** 2 + bent[2] ** 2) + 1e-6

    def tint(share: NDArray, red: float, green: float, blue: float) -> Array:
        return np.float32(1.0) - share * np.array([[red], [green], [blue]], np.float32)

    albedo = np.repeat(np.array(params.skin, np.float32)[:, None], len(x), axis=1)
    flush = 0.10 + 0.10 * min(cue['child'], 1.0) + 0.05 * cue['blotches']
    albedo *= tint(flush * column['red'], 0.0, 1.0, 0.85)
    albedo *= tint(0.14 * cue['blotches'] ** 2 * column['spots'], 0.7, 1.0, 1.2)
    _paint_lips(albedo, x, y, face, params, cue)

    grey = np.zeros_like(x)
    if cue['grey'] > 0:
        grey = 0.95 * np.clip(1.12 * cue['grey'] - 0.06 + 0.10 * strand, 0.0, 1.0)
    hair = np.repeat(np.array(params.hair, np.float32)[:, None], len(x), axis=1)
    _mix(hair, (0.74, 0.73, 0.72), grey)
    _paint_brows(albedo, x, y, face, hair * 0.9, cue)
    wet = _paint_eyes(albedo, x, y, face, params, cue)
    stubble = params.beard * cue['man'] * column['beard']
    _mix(albedo, hair, stubble * np.clip(0.75 + 0.2 * strand, 0.0, 1.0))
    hair *= 1.0 + 0.14 * strand

    fields = tuple(column[f'hair_{k}'] for k in ('short', 'long', 'front', 'crown'))
    field = _hair_field(params, cue, fields) + 0.016 * strand
    cover = _ramp(field, -0.03, 0.045) * (1.0 - 0.45 * min(cue['fluff'], 1.0))
    cover *= 1.0 - _ramp(column['torso'], 0.8, 1.0)
    cloth = _ramp(column['torso'], 0.62, 0.70)
    _mix(albedo, params.clothes, cloth)
    _mix(albedo, hair, cover)
    cloth *= 1.0 - cover

    light = np.array(params.light, np.float32)
    light /= np.sqrt((light * light).sum())
    half = light + np.array([0.0, 0.0, 1.0], np.float32)
    half /= np.sqrt((half * half).sum())
    facing, gleam = np.einsum('li,im->lm', np.stack([light, half]), bent)
    diffuse = np.clip((facing + 0.25) / 1.25, 0.0, None)
    bright = params.ambient * (0.82 + 0.18 * bent[1]) + (1.0 - params.ambient) * 1.45 * diffuse
    occluded = column['shade'] * (1.0 - cover) - 0.16 * np.clip(ground, -1.5, 0.0)
    bright *= 1.0 - np.clip(occluded, 0.0, 0.85)
    gleam = np.clip(gleam, 0.0, None) ** 24
    gloss = (0.10 + 0.10 * cover * (1.0 - grey)) * gleam * (1.0 - cloth) + 0.5 * wet * gleam**6
    colour = params.exposure * (albedo * bright + (1.0 - params.ambient) * gloss)
    return colour * np.array(params.light_colour, np.float32)[:, None]


def _background(rng: np.random.Generator, size: int) -> Array:
    """A blurred room: a gradient, coarse and finer blobs; (size, size, 3)."""
    level = rng.uniform(0.1, 0.9) + rng.normal(0.0, 0.15, (2, 2, 1))
    corners = level + rng.normal(0.0, 0.06, 3) + rng.normal(0.0, 0.03, (2, 2, 3))
    image = cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    for cells in rng.integers(3, 14, 2):
        grid = rng.normal(0.0, 1.0, (cells, cells, 1)) + rng.normal(0.0, 0.2, (cells, cells, 3))
        grid = (rng.uniform(0.0, 0.1) * grid).astype(np.float32)
        image += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return image


def sample_face(
    rng: np.random.Generator, age: float, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0
) -> FaceParams:
    """Draw a person and the circumstances of a picture at random.

    Identity, expression, light, background, framing and noise do not depend on the age, and each
    sign of age gets years of its own added: two people of one age look it in different ways, and
    no single sign determines it.

    Args:
        rng: Source of all randomness.
        age: Age in years that the face shows on the whole.
        pitch: Degrees, positive looks up.
        yaw: Degrees, positive turns to the image's left.
        roll: Degrees, positive is counter-clockwise in the image.

    Returns:
        Parameters for ``render_face``.
    """
    # Children of one age differ by months, the old by decades.
    spread = 9.0 * min(1.0, (max(age, 0.0) + 4.0) / 30.0)
    offsets = dict(zip(CUES, spread * rng.standard_normal(len(CUES)), strict=True))
    offsets['growth'] *= 0.25
    if rng.random() < 0.2:
        offsets['grey'] -= 30.0  # dyed
    tone = rng.beta(1.1, 1.6)
    skin = (1 - tone) * np.array([0.95, 0.76, 0.66]) + tone * np.array([0.38, 0.25, 0.19])
    skin *= rng.normal(1.0, 0.02, 3)
    hairs = np.array([
        (0.07, 0.06, 0.06), (0.20, 0.13, 0.09), (0.36, 0.24, 0.15), (0.50, 0.25, 0.12),
        (0.72, 0.56, 0.34), (0.82, 0.72, 0.54),
    ])  # fmt: skip
    # Every complexion has dark hair, only fair ones the rest.
    hair = hairs[int(rng.random() * (1 + 5 * (1 - tone)))] * rng.normal(1.0, 0.1, 3)
    irises = np.array(
        [(0.20, 0.12, 0.07), (0.32, 0.22, 0.12), (0.34, 0.40, 0.26), (0.3, 0.43, 0.54)]
    )
    iris = irises[int(rng.random() * (1 + 3 * (1 - tone)))]
    long_hair = rng.random() < 0.45
    azimuth, elevation = np.radians([rng.uniform(-75, 75), rng.uniform(-10, 65)])
    return FaceParams(
        age=float(age),
        pitch=float(pitch),
        yaw=float(yaw),
        roll=float(roll),
        cue_offsets=tuple(offsets.values()),
        shape=tuple(rng.standard_normal(len(IDENTITY)) * list(IDENTITY.values())),
        skin=tuple(np.clip(skin, 0.05, 1.0)),
        hair=tuple(np.clip(hair, 0.03, 0.9)),
        iris=tuple(iris),
        clothes=tuple(rng.uniform(0.05, 0.9) * rng.uniform(0.6, 1.0, 3)),
        hair_length=rng.uniform(0.4, 1.0) if long_hair else 0.0,
        hair_volume=rng.uniform(0.05, 0.16),
        baldness=rng.uniform(0.0, 0.25) if long_hair else rng.uniform(0.0, 1.1),
        beard=rng.uniform(0.1, 1.0) if not long_hair and rng.random() < 0.35 else 0.0,
        wrinkling=rng.uniform(0.7, 1.3),
        smile=rng.uniform(-0.6, 1.0),
        eye_opening=rng.uniform(0.75, 1.15),
        brow_raise=rng.uniform(-1.0, 1.0),
        gaze=tuple(rng.uniform(-0.8, 0.8, 2)),
        light=(
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ),
        light_colour=tuple(np.clip(rng.normal(1.0, 0.035, 3), 0.9, 1.1)),
        ambient=rng.uniform(0.3, 0.65),
        exposure=rng.uniform(0.65, 1.25),
        scale=rng.uniform(0.62, 0.76),
        shift=tuple(np.clip(rng.normal(0.0, 0.025, 2), -0.07, 0.07)),
        blur=rng.uniform(0.0, 0.008),
        noise=rng.uniform(0.0, 6.0),
        texture_seed=int(rng.integers(2**31)),
    )


def render_face(params: FaceParams, size: int) -> NDArray[np.uint8]:
    """Draw a face.

    The same parameters give the same pixels in every process.

    Args:
        params: What the picture shows.
        size: Width and height of the image in pixels, at least 16.

    Returns:
        (size, size, 3) image, blue, green, red.

    Example:
        >>> from dldl_mm.datasets.synthetic import FaceParams, render_face
        >>> render_face(FaceParams(age=70, yaw=30), size=64).shape
        (64, 64, 3)
    """
    if size < 16:
        raise ValueError(f'size must be at least 16 pixels, got {size}')
    fine = 2 * size  # drawn at twice the size, for smooth edges
    cue = _cue_weights(params)
    covered, normals, maps = _visible_points(_vertices(params, cue), params, fine)
    rng = np.random.default_rng(params.texture_seed)
    image = cv2.resize(_background(rng, size), (fine, fine), interpolation=cv2.INTER_LINEAR)
    image.reshape(-1, 3)[covered] = _shade(params, cue, normals, maps).T
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    if params.blur > 0:
        image = cv2.GaussianBlur(image, (0, 0), params.blur * size)
    image *= 255.0
    if params.noise > 0:
        image += rng.normal(0.0, params.noise, image.shape).astype(np.float32)
    return np.ascontiguousarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)[..., ::-1])

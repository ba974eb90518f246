"""Scenes of drawn objects in clutter: what stands where, and how it looks."""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

__all__ = ['CLASSES', 'HIDDEN_SHARE', 'Item', 'Scene', 'class_map', 'draw_scene', 'sample_scene']

#: Side of the grid on which visible areas are measured, whatever the size of the picture.
GRID = 96
#: An object is difficult if it covers less than this share of the image ...
TINY_AREA = 0.008
#: ... or if less than this share of it is visible.
HIDDEN_SHARE = 0.4
#: With less than this share or area visible it is not labelled at all.
LOST_SHARE, LOST_AREA = 0.08, 0.0005

VOID = 255
_SHIFT = 5  # fractional bits of polygon corners
_TILE = 512
_OVERSAMPLING = 2


def _ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360
) -> np.ndarray:
    """Polygon of an ellipse or, between two angles in degrees, of a segment of it."""
    angle = np.radians(np.linspace(start, stop, 25))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _polygon(*corners: tuple[float, float]) -> np.ndarray:
    return np.array(corners, dtype=float)


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return _polygon((left, top), (right, top), (right, bottom), (left, bottom))


def _star() -> np.ndarray:
    angle = np.radians(np.arange(10) * 36.0 - 90)
    radius = np.tile([1.0, 0.42], 5)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


# Each object is drawn in parts, from back to front, x right and y down within about -1 to 1. A part has
# the object's first, second or third colour (1, 2, 3), or is a hole (0).
_OBJECTS: dict[str, list[tuple[np.ndarray, int]]] = {
    'boat': [
        (_box(-0.05, -0.9, 0.05, 0.3), 3),
        (_polygon((0.1, -0.85), (0.1, 0.15), (0.75, 0.15)), 2),
        (_polygon((-0.1, -0.6), (-0.1, 0.15), (-0.6, 0.15)), 2),
        (_polygon((-1, 0.3), (1, 0.3), (0.65, 0.8), (-0.65, 0.8)), 1),
    ],
    'cup': [
        (_ellipse(0.6, 0.0, 0.4, 0.42), 1),
        (_ellipse(0.6, 0.0, 0.22, 0.24), 0),
        (_polygon((-0.75, -0.7), (0.65, -0.7), (0.5, 0.8), (-0.6, 0.8)), 1),
        (_ellipse(-0.05, -0.7, 0.7, 0.17), 2),
    ],
    'fish': [
        (_polygon((0.35, 0.0), (1, -0.6), (0.85, 0.0), (1, 0.6)), 2),
        (_polygon((-0.2, -0.3), (0.25, -0.8), (0.35, -0.2)), 2),
        (_ellipse(-0.25, 0.0, 0.75, 0.42), 1),
        (_ellipse(-0.65, -0.1, 0.09, 0.09), 3),
    ],
    'house': [
        (_box(0.35, -0.85, 0.55, -0.2), 3),
        (_box(-0.75, -0.1, 0.75, 0.9), 1),
        (_polygon((-1, -0.1), (0, -0.95), (1, -0.1)), 2),
        (_box(-0.5, 0.3, -0.1, 0.9), 3),
        (_box(0.15, 0.15, 0.55, 0.5), 3),
    ],
    'key': [
        (_ellipse(-0.6, 0.0, 0.4, 0.4), 1),
        (_ellipse(-0.65, 0.0, 0.19, 0.19), 0),
        (_box(-0.25, -0.11, 1, 0.11), 1),
        (_box(0.5, 0.1, 0.65, 0.45), 1),
        (_box(0.82, 0.1, 0.97, 0.5), 1),
    ],
    'mushroom': [
        (_polygon((-0.25, -0.1), (0.25, -0.1), (0.35, 0.9), (-0.35, 0.9)), 2),
        (_ellipse(0.0, 0.05, 0.95, 0.9, 180, 360), 1),
        (_ellipse(-0.4, -0.3, 0.16, 0.16), 3),
        (_ellipse(0.1, -0.55, 0.16, 0.16), 3),
        (_ellipse(0.5, -0.2, 0.14, 0.14), 3),
    ],
    'star': [(_star(), 1), (_ellipse(0.0, 0.0, 0.2, 0.2), 2)],
    'tree': [
        (_box(-0.14, 0.5, 0.14, 1), 3),
        (_polygon((-0.8, 0.6), (0, -0.2), (0.8, 0.6)), 1),
        (_polygon((-0.62, 0.15), (0, -0.6), (0.62, 0.15)), 2),
        (_polygon((-0.45, -0.3), (0, -1), (0.45, -0.3)), 1),
    ],
}
CLASSES = tuple(_OBJECTS)

# What an object's three colours (BGR) scatter around; clutter may have any colour.
_COLORS = np.array(
    [
        [(60, 70, 130), (235, 235, 230), (50, 60, 80)],  # boat
        [(190, 120, 40), (220, 190, 140), (60, 40, 30)],  # cup
        [(30, 120, 235), (60, 190, 240), (20, 20, 20)],  # fish
        [(150, 200, 225), (50, 50, 170), (200, 150, 90)],  # house
        [(50, 180, 220), (40, 150, 190), (30, 110, 150)],  # key
        [(40, 40, 210), (200, 220, 235), (240, 240, 240)],  # mushroom
        [(90, 220, 245), (180, 90, 200), (200, 200, 200)],  # star
        [(60, 140, 40), (50, 100, 30), (40, 70, 110)],  # tree
    ],
    dtype=float,
)


@dataclass
class Item:
    """One object, or one piece of clutter.

    Attributes:
        label: Class of the object, None for clutter.
        parts: Polygons (n, 2) in shares of the image's side, with their tones; see ``_OBJECTS``.
        colors: (3, 2, 3) for each tone the two colours (BGR, 0 to 255) between which its pattern goes.
        patterns: For each tone the index of a pattern, and where to cut it out.
    """

    label: int | None
    parts: list[tuple[np.ndarray, int]]
    colors: np.ndarray
    patterns: np.ndarray


@dataclass
class Scene:
    """What a picture shows.

    Attributes:
        items: From back to front; the first fills the image.
        positive: Classes of the objects that are neither tiny nor mostly hidden, ascending.
        difficult: Classes of those that are.
        unlabelled: Positions in ``items`` of objects of which too little is visible for a label.
        noise: Deviation of the pixel noise, and where to cut it out of its tile.
        light: (2, 2) brightness at the image's corners, relative.
    """

    items: list[Item]
    positive: list[int]
    difficult: list[int]
    unlabelled: list[int]
    noise: np.ndarray
    light: np.ndarray


def sample_scene(rng: np.random.Generator) -> Scene:
    """Place objects and clutter, and find out which objects can be seen.

    Args:
        rng: Source of randomness.

    Returns:
        A scene with at least one object that is labelled.
    """
    while True:
        items = _place(rng)
        positive, difficult, unlabelled = _visible_classes(items)
        if positive or difficult:
            break
    return Scene(
        items=items,
        positive=sorted(positive),
        difficult=sorted(difficult),
        unlabelled=unlabelled,
        noise=np.array([rng.uniform(2, 9), *rng.random(2)]),
        light=rng.uniform(0.7, 1.25, (2, 2)),
    )


def draw_scene(scene: Scene, size: int) -> np.ndarray:
    """Draw a scene.

    Args:
        scene: What to draw.
        size: Width and height in pixels.

    Returns:
        (size, size, 3) uint8 in blue, green, red.
    """
    side = size * _OVERSAMPLING
    canvas = np.empty((side, side, 3), np.uint8)
    for item in scene.items:
        left, top, tones = _paint(item, side)
        height, width = tones.shape
        patch = canvas[top : top + height, left : left + width]
        for tone in {tone for _, tone in item.parts if tone}:
            index, row, column = item.patterns[tone - 1]
            pattern = _cut(_patterns()[int(index)], row, column, height, width)
            low, high = item.colors[tone - 1]
            shades = np.linspace(low, high, 256).astype(np.uint8)
            cv2.copyTo(shades.take(pattern, axis=0), (tones == tone).astype(np.uint8), patch)
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    image *= cv2.resize(scene.light.astype(np.float32), (size, size))[..., None]
    deviation, row, column = scene.noise
    image += np.float32(deviation) * _cut(_noise(), row, column, size, size)
    return np.clip(image, 0, 255).astype(np.uint8)


def class_map(scene: Scene, size: int) -> np.ndarray:
    """Draw which class is where.

    Args:
        scene: What to draw.
        size: Width and height in pixels.

    Returns:
        (size, size) uint8: 0 for background and clutter, 1 and up for the classes, 255 (void) on the
        borders of objects and on objects without a label.
    """
    side = size * _OVERSAMPLING
    owner = _owners(scene.items, side)
    owner[np.isin(owner, [i for i, item in enumerate(scene.items) if item.label is None])] = 0
    kernel = np.ones((3, 3), np.uint8)
    border = cv2.dilate(owner, kernel) != cv2.erode(owner, kernel)
    classes = np.zeros(len(scene.items), np.uint8)
    for position, item in enumerate(scene.items):
        if item.label is not None:
            classes[position] = VOID if position in scene.unlabelled else item.label + 1
    blocks = border.reshape(size, _OVERSAMPLING, size, _OVERSAMPLING).any(axis=(1, 3))
    return np.where(blocks, VOID, classes[owner[::_OVERSAMPLING, ::_OVERSAMPLING]]).astype(np.uint8)


def _place(rng: np.random.Generator) -> list[Item]:
    # A background that reaches beyond the image on all sides.
    items = [_item(rng, None, [(_box(-0.1, -0.1, 1.1, 1.1), 1)])]
    items += [
        _clutter(rng, rng.random(2), rng.uniform(0.05, 0.25)) for _ in range(rng.integers(2, 6))
    ]
    for _ in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1)) + 1):
        label = int(rng.integers(len(CLASSES)))
        tiny = rng.random() < 0.2
        half = rng.uniform(0.03, 0.06) if tiny else math.exp(rng.uniform(*np.log([0.16, 0.34])))
        center = rng.uniform(0.6 * half, 1 - 0.6 * half, 2)
        move = half * _transform(rng)
        parts = [(corners @ move.T + center, tone) for corners, tone in _OBJECTS[CLASSES[label]]]
        items.append(_item(rng, label, parts))
        if rng.random() < 0.2:
            cover = center + rng.uniform(-0.5, 0.5, 2) * half
            items.append(_clutter(rng, cover, half * rng.uniform(0.7, 1.1)))
    items += [
        _clutter(rng, rng.random(2), rng.uniform(0.03, 0.1)) for _ in range(rng.integers(0, 3))
    ]
    return items


def _transform(rng: np.random.Generator) -> np.ndarray:
    """Mirror, stretch, shear and rotate: (2, 2)."""
    angle = rng.uniform(-0.5, 0.5)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    stretch = math.exp(rng.normal(0, 0.12))
    mirror = rng.choice([-1.0, 1.0])
    return rotation @ np.array([[mirror * stretch, rng.normal(0, 0.12)], [0.0, 1 / stretch]])


def _clutter(rng: np.random.Generator, center: np.ndarray, half: float) -> Item:
    """A blob, a bar, a disc, a frame or a triangle: parts of objects, but no object."""
    kind = rng.integers(5)
    if kind == 0:
        around = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 9)))
        shape = rng.uniform(0.5, 1, (len(around), 1)) * np.stack(
            [np.cos(around), np.sin(around)], 1
        )
        parts = [(shape, 1)]
    elif kind == 1:
        width = rng.uniform(0.1, 0.35)
        parts = [(_box(-1, -width, 1, width), 1)]
    elif kind == 2:
        parts = [(_ellipse(0, 0, 1, rng.uniform(0.5, 1)), 1), (_ellipse(0, 0, 0.4, 0.3), 2)]
    elif kind == 3:
        parts = [
            (_box(-0.9, -0.8, 0.9, 0.8), 1),
            (_box(-0.5, -0.4, 0.5, 0.4), int(rng.integers(3))),
        ]
    else:
        parts = [(_polygon((-1, 0.7), (rng.uniform(-0.6, 0.6), -0.9), (1, 0.7)), 1)]
    angle = rng.uniform(0, 2 * math.pi)
    move = half * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    return _item(rng, None, [(corners @ move.T + center, tone) for corners, tone in parts])


def _item(rng: np.random.Generator, label: int | None, parts: list[tuple[np.ndarray, int]]) -> Item:
    base = rng.uniform(10, 245, (3, 1, 3))
    if label is not None:
        base = _COLORS[label][:, None] + 0.5 * (base - 127.5)
    colors = np.clip(base + rng.normal(0, 22, (3, 2, 3)), 0, 255)
    patterns = rng.random((3, 3))
    patterns[:, 0] = np.floor(patterns[:, 0] * len(_PATTERNS))
    return Item(label, parts, colors, patterns)


def _visible_classes(items: list[Item]) -> tuple[set[int], set[int], list[int]]:
    visible = np.bincount(_owners(items, GRID).ravel(), minlength=len(items))
    positive: set[int] = set()
    difficult: set[int] = set()
    unlabelled = []
    for position, item in enumerate(items):
        if item.label is None:
            continue
        area = visible[position] / GRID**2
        # Whole, on a canvas that reaches over the image's edges.
        moved = [((corners + 1) / 3, tone) for corners, tone in item.parts]
        whole = _paint(Item(None, moved, item.colors, item.patterns), 3 * GRID)[2]
        share = visible[position] / max(1, np.count_nonzero(whole))
        if share < LOST_SHARE or area < LOST_AREA:
            unlabelled.append(position)
        elif share < HIDDEN_SHARE or area < TINY_AREA:
            difficult.add(item.label)
        else:
            positive.add(item.label)
    return positive, difficult, unlabelled


def _owners(items: list[Item], side: int) -> np.ndarray:
    """(side, side) uint8 position of the item that is seen at each pixel."""
    owner = np.zeros((side, side), np.uint8)
    for position, item in enumerate(items[1:], start=1):
        left, top, tones = _paint(item, side)
        height, width = tones.shape
        owner[top : top + height, left : left + width][tones > 0] = position
    return owner


def _paint(item: Item, side: int) -> tuple[int, int, np.ndarray]:
    """Left and top of the part of the image that an item covers, and its tones there."""
    corners = np.concatenate([corners for corners, _ in item.parts]) * side
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, side)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 2, 0, side)
    width, height = np.maximum(high - low, 0)
    tones = np.zeros((height, width), np.uint8)
    if tones.size:
        for polygon, tone in item.parts:
            fixed = np.rint((polygon * side - low - 0.5) * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(tones, [fixed], tone, shift=_SHIFT)
    return int(low[0]), int(low[1]), tones


def _cut(tile: np.ndarray, row: float, column: float, height: int, width: int) -> np.ndarray:
    """A piece of a tile, which repeats where it is too small."""
    top, left = int(row * _TILE), int(column * _TILE)
    if top + height <= _TILE and left + width <= _TILE:
        return tile[top : top + height, left : left + width]
    rows = np.arange(top, top + height) % _TILE
    columns = np.arange(left, left + width) % _TILE
    return tile.take(rows, axis=0).take(columns, axis=1)


# Waves per tile along x and y, and what they look like.
_PATTERNS = (
    *(('smooth', 16, 16), ('smooth', 40, 40), ('smooth', 90, 90), ('smooth', 200, 200)),
    *(('stripes', 24, 0), ('stripes', 0, 40), ('stripes', 30, 30), ('stripes', 50, -20)),
    *(('checks', 30, 30), ('checks', 52, 12), ('dots', 36, 36), ('dots', 60, 60)),
)


@lru_cache(maxsize=1)
def _patterns() -> np.ndarray:
    """(P, 512, 512) uint8 patterns that repeat without a seam."""
    rng = np.random.default_rng(0)
    phase = 2 * math.pi * np.arange(_TILE) / _TILE
    tiles = []
    for kind, across, down in _PATTERNS:
        x, y = across * phase[None, :], down * phase[:, None]
        if kind == 'smooth':
            coarse = rng.random((down, across), np.float32)
            tile = cv2.resize(
                np.pad(coarse, 2, mode='wrap'),
                None,
                fx=_TILE / across,
                fy=_TILE / down,
                interpolation=cv2.INTER_CUBIC,
            )
            edge = (tile.shape[0] - _TILE) // 2
            tile = tile[edge : edge + _TILE, edge : edge + _TILE]
        elif kind == 'stripes':
            tile = 0.5 + 0.9 * np.sin(x + y)
        elif kind == 'checks':
            tile = 0.5 + 1.5 * np.sin(x) * np.sin(y)
        else:
            tile = np.cos(x) * np.cos(y)
        tile = tile + rng.normal(0, 0.06, (_TILE, _TILE))
        tiles.append((np.clip(tile, 0, 1) * 255).astype(np.uint8))
    return np.stack(tiles)


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((_TILE, _TILE, 3), np.float32)

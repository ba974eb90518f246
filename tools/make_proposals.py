#!/usr/bin/env python
"""Proposals of images for PF-DLDL: ``python tools/make_proposals.py IMAGES --out FOLDER``."""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from dldl_mm.cli import UserErrors, make_writable_folder
from dldl_mm.datasets._images import IMAGE_EXTENSIONS
from dldl_mm.datasets.proposals import (
    cluster_proposals,
    filter_proposals,
    grid_proposals,
    read_proposals,
    selective_search,
    write_proposals,
)

EPILOG = """
For each image NAME.jpg it writes FOLDER/NAME.csv with the columns x1, y1, x2, y2, in pixels of the image,
and group: proposals that overlap are in one group. Proposals of another program, in the same format
without group, come by --boxes.
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Write the proposals of images, filtered and grouped',
        epilog=EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('images', help='folder of the images')
    parser.add_argument('--out', required=True, help='folder of the files to write')
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--method',
        choices=['grid', 'selective-search'],
        help='how to generate them: windows of several sizes, or selective search of '
        'opencv-contrib-python (where not given: selective search if it is installed)',
    )
    source.add_argument('--boxes', help='folder of proposals to read instead')
    parser.add_argument(
        '--divisions', type=int, default=4, help='most windows along a side of the grid'
    )
    parser.add_argument('--clusters', type=int, default=15, help='groups per image')
    parser.add_argument('--min-area', type=float, default=900.0, help='in square pixels')
    parser.add_argument('--max-aspect', type=float, default=4.0, help='longer by shorter side')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def propose(image: np.ndarray, name: str, args: argparse.Namespace) -> np.ndarray:
    """(P, 4) proposals of an image, not filtered."""
    height, width = image.shape[:2]
    if args.boxes is not None:
        return read_proposals(Path(args.boxes) / f'{name}.csv', width, height)[0]
    if args.method == 'selective-search':
        return selective_search(image, args.seed)
    return grid_proposals(width, height, args.divisions)


def make_proposals(args: argparse.Namespace) -> tuple[int, int]:
    """Write a file for each image.

    Returns:
        The number of images, and of those with fewer proposals than groups.

    Raises:
        FileNotFoundError: There is no image.
        ValueError: An option is out of range; an image is unreadable, has the name of another one but for
            the ending, or all its proposals are filtered out: names the image.
    """
    if args.clusters < 1:
        raise ValueError(f'--clusters must be at least 1, got {args.clusters}')
    if not 0 <= args.min_area < np.inf:
        raise ValueError(f'--min-area must be a finite number of at least 0, got {args.min_area:g}')
    if not args.max_aspect >= 1:
        raise ValueError(f'--max-aspect must be at least 1, got {args.max_aspect:g}')
    if not 0 <= args.seed < 2**31:
        raise ValueError(f'--seed must be between 0 and 2^31 - 1, got {args.seed}')
    if args.boxes is not None and not Path(args.boxes).is_dir():
        raise FileNotFoundError(f'--boxes: there is no folder {args.boxes}')
    paths = sorted(
        path for path in Path(args.images).glob('*') if path.suffix.lower() in IMAGE_EXTENSIONS
    )
    if not paths:
        raise FileNotFoundError(f'there is no image in {args.images}')
    for path, following in itertools.pairwise(sorted(paths, key=lambda path: path.stem)):
        if path.stem == following.stem:
            raise ValueError(
                f'{path} and {following.name} would both have the proposals {path.stem}.csv; '
                'expected one image of a name'
            )
    out = Path(args.out)
    make_writable_folder('--out', out)
    # Images of one size have one grid, which is then grouped once.
    known: dict[bytes, np.ndarray] = {}
    few = 0
    for path in paths:
        image = cv2.imread(str(path))
        if image is None:
            raise ValueError(f'{path} is not a readable image')
        boxes = filter_proposals(propose(image, path.stem, args), args.min_area, args.max_aspect)
        if not len(boxes):
            raise ValueError(
                f'{path}: no proposal has an area of at least {args.min_area:g} square pixels and an '
                f'aspect of at most {args.max_aspect:g}; see --min-area and --max-aspect'
            )
        few += len(boxes) < args.clusters
        key = boxes.tobytes()
        if key not in known:
            clusters = min(args.clusters, len(boxes))
            known[key] = cluster_proposals(boxes, clusters, args.seed)
        write_proposals(out / f'{path.stem}.csv', boxes, known[key])
    return len(paths), few


def main() -> None:
    """Make the files."""
    args = parse_args()
    with UserErrors():
        if args.method is None and args.boxes is None:
            args.method = 'selective-search' if hasattr(cv2, 'ximgproc') else 'grid'
            print(f'proposals by {args.method}')
        count, few = make_proposals(args)
    print(f'wrote the proposals of {count} images to {args.out}')
    if few:
        print(
            f'{few} of them have fewer than {args.clusters} proposals: there, each is its own group'
        )


if __name__ == '__main__':
    main()

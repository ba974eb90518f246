"""Image files before they are decoded: their size, and what is wrong with them."""

import os
from collections.abc import Sequence

from PIL import ExifTags, Image

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')

# What a complete file begins and ends with: the markers of JPEG; signature and last chunk of PNG.
_JPEG = (b'\xff\xd8\xff', b'\xff\xd9')
_ENDS = {'.jpg': _JPEG, '.jpeg': _JPEG, '.png': (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82')}


def image_problem(path: str) -> str | None:
    """Say what is wrong with an image file, or return None.

    A JPEG or PNG that begins and ends as its format does is taken for complete without decoding it.
    Any other file is decoded: complete files may carry bytes after the end, and an end marker
    further ahead may belong to an embedded thumbnail.

    Args:
        path: The image file.
    """
    try:
        with open(path, 'rb') as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return 'is empty (zero bytes)'
            ends = _ENDS.get(os.path.splitext(path)[1].lower())
            if ends is not None:
                file.seek(0)
                begins = file.read(8).startswith(ends[0])
                file.seek(max(size - 16, 0))
                if begins and file.read().rstrip(b'\0\r\n').endswith(ends[1]):
                    return None
    except FileNotFoundError:
        return 'does not exist'
    except OSError as error:
        return f'cannot be read ({error.strerror})'
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f'is truncated or not an image ({error})'
    return None


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an image as OpenCV and mmcv decode it: turned as its EXIF data say."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def find_image_problems(paths: Sequence[str]) -> dict[int, str]:
    """Check many images; see :func:`image_problem`.

    Args:
        paths: N image files.

    Returns:
        What is wrong, by the position of the file in ``paths``.
    """
    found = ((index, image_problem(path)) for index, path in enumerate(paths))
    return {index: problem for index, problem in found if problem is not None}

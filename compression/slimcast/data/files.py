"""Images on disk, decoded when they are asked for, each brought to its size by the camera's own rule."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageOps

from slimcast.errors import DataError
from slimcast_edge.artifact import InputSpec
from slimcast_edge.preprocess import prepare

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""What is decoded, as Pillow names it. Told by the content: the name of a file does not count."""
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_MOST_PIXELS = 64_000_000
_REDUCED_FROM_PIXELS = 4_000_000
_MOST_WORKERS = 16


class ImageFiles:
    """Image files as an array, uint8 (N, H, W, C), of which parts are decoded by worker threads.

    ``len``, `shape`, and ``files[chosen]`` with a slice, an index array or a mask give what an array would;
    the whole of it may be larger than memory.

    Attributes:
        size: to which each image is brought, and how.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths: Sequence[Path], size: InputSpec) -> None:
        self._paths = np.empty(len(paths), object)
        self._paths[:] = paths
        self.size = size

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self._paths), self.size.height, self.size.width, self.size.channels

    @property
    def nbytes(self) -> int:
        """Bytes that the whole array would take."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def paths(self) -> list[Path]:
        """Where the images are, in order."""
        return list(self._paths)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """Decode one image, (H, W, C), or several, (n, H, W, C).

        Raises:
            DataError: a file can no longer be read, or is damaged.
        """
        if isinstance(chosen, int | np.integer):
            return self[[int(chosen)]][0]
        paths = list(self._paths[chosen])
        images, failed = decode(paths, self.size)
        if failed:
            index, reason = next(iter(failed.items()))
            raise DataError(f"{paths[index]} {reason}. Replace the file, or remove it, and start again.")
        return images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Decode everything."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def select(self, chosen: Any) -> "ImageFiles":
        """Return some of the files, by slice or index array; nothing is decoded."""
        return ImageFiles(list(self._paths[chosen]), self.size)

    def sound(self) -> np.ndarray:
        """Decode everything, and leave out what cannot be decoded, (n, H, W, C)."""
        images, failed = decode(self.paths, self.size)
        return np.delete(images, list(failed), axis=0) if failed else images


def taken(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return some images of a set, by index array; those on disk stay there, see `ImageFiles`."""
    if len(chosen) == len(images):
        return images
    if isinstance(images, ImageFiles):
        return cast(np.ndarray, images.select(chosen))
    return images[chosen]


def decode(paths: Sequence[Path], size: InputSpec) -> tuple[np.ndarray, dict[int, str]]:
    """Decode files in worker threads (Pillow lets go of the interpreter meanwhile).

    Returns:
        Images, uint8 (n, H, W, C), and for each that failed its index and why; its pixels are zero.
    """
    images = np.zeros((len(paths), size.height, size.width, size.channels), np.uint8)
    reasons = _workers().map(partial(_decode_into, images, size), range(len(paths)), paths)
    return images, {index: reason for index, reason in enumerate(reasons) if reason}


def why_refused(paths: Sequence[Path]) -> list[str]:
    """Look at the head of each file; return for each why it cannot be used, empty where it can."""
    return list(_workers().map(_look_at, paths))


@cache
def _workers() -> ThreadPoolExecutor:
    # At least two: one reads while the other decodes.
    count = min(_MOST_WORKERS, max(2, os.cpu_count() or 1))
    return ThreadPoolExecutor(count, thread_name_prefix="decode")


def _look_at(path: Path) -> str:
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.mode not in _EIGHT_BIT_MODES:
                return f"has pixels of another depth than eight bits ({image.mode})"
            if image.width * image.height > _MOST_PIXELS:
                return f"is too large, {image.width}x{image.height} pixels"
    except Exception as error:  # what is no image can fail in any way
        return _reason(error)
    return ""


def _decode_into(images: np.ndarray, size: InputSpec, index: int, path: Path) -> str:
    try:
        with Image.open(path, formats=FORMATS) as image:
            images[index] = prepare(_pixels(image, size), size)[0]
    except Exception as error:  # a damaged image can fail in any way
        return _reason(error)
    return ""


def _pixels(image: Image.Image, size: InputSpec) -> np.ndarray:
    """Return the upright image, uint8 (h, w, 1 or 3), no smaller than needed."""
    mode = "L" if size.channels == 1 else "RGB"
    # A JPEG is decoded at an eighth, a quarter or half of its size where that is still large enough.
    image.draft(mode, (size.width, size.height))
    upright = ImageOps.exif_transpose(_reduced(image, size))
    if upright.mode in {"LA", "PA", "RGBA"} or "transparency" in upright.info:
        coloured = upright.convert("RGBA")
        upright = Image.new("RGBA", coloured.size, "white")
        upright.alpha_composite(coloured)
    pixels = np.asarray(upright.convert(mode))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _reduced(image: Image.Image, size: InputSpec) -> Image.Image:
    """Average a large image down by a whole factor first: then the full size is held once, not four times."""
    factor = min(image.width // size.width, image.height // size.height) // 2
    if image.width * image.height < _REDUCED_FROM_PIXELS or factor < 2 or image.mode in {"P", "PA", "1"}:
        return image
    return image.reduce(factor)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "is no image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "is too large an image"
    if isinstance(error, FileNotFoundError):
        return "is not there any more"
    return f"cannot be decoded ({(str(error).strip().splitlines() or [type(error).__name__])[0].rstrip('.')})"

"""Labelled images on disk, for the cameras that show them."""

from pathlib import Path

import numpy as np
from PIL import Image

from slimcast_edge.errors import CameraError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def find_images(folder: Path) -> list[Path]:
    """Return all images below a folder, in order of name.

    Raises:
        CameraError: there is no such folder, or no image in it.

    """
    if not folder.is_dir():
        raise CameraError(f"There is no folder {folder} to take images from. Correct the camera's settings.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        where = f"The folder {folder}" if folder != Path() else "The folder in which this was started"
        raise CameraError(
            f"{where} has no images ({', '.join(ENDINGS)}). Name one that has in the camera's settings."
        )
    return paths


def label_of(path: Path, folder: Path) -> str | None:
    """Return the label that an image's place tells, None where it tells none.

    ``folder/cat/17.png`` is a cat; so are ``folder/cat_17.png`` and ``folder/cat-17.png``.
    """
    if path.parent != folder:
        return path.parent.name
    before, underscore, _ = path.stem.partition("_")
    if not underscore:
        before, dash, _ = path.stem.rpartition("-")
        return before or None if dash else None
    return before or None


def read_image(path: Path) -> np.ndarray:
    """Return an image as uint8 (H, W, 3), RGB.

    Raises:
        CameraError: it cannot be read.

    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CameraError(f"Cannot read the image {path}: {error}") from error

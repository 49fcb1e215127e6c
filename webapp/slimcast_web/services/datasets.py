"""Data sets for the Compress page: a look at what a recipe takes, and images that a person uploads."""

import os
from functools import lru_cache
from pathlib import Path
from typing import IO

from slimcast.catalog import DATA
from slimcast.data import upload as uploads
from slimcast.data.folder import place_of
from slimcast.data.look import Look
from slimcast.data.look import look as look_at
from slimcast.data.unzip import Progress
from slimcast.data.upload import Upload
from slimcast.errors import RecipeError
from slimcast.recipe import parse_recipe
from slimcast.recipe.subject import DataSpec
from slimcast_web.services.studio import Studio

MAX_UPLOAD_MB = 1024
_LOOKS_KEPT = 8
_UNEVEN = 1.5


def spec_of(text: str) -> DataSpec | None:
    """Return the data that a recipe asks for; None while the recipe has errors."""
    try:
        return parse_recipe(text).data
    except RecipeError:
        return None


def look(studio: Studio, spec: DataSpec) -> Look:
    """Look at the data of a recipe. Looks are kept until the folder changes.

    Raises:
        DataError: the data are missing or damaged, or cannot give what is asked for.

    """
    root = studio.settings.data_root
    return _look(spec, root, _changed_at(spec, root))


def balance(counts: tuple[int, ...]) -> str:
    """Return a sentence on how evenly the images are spread over the classes."""
    least, most = min(counts), max(counts)
    if most < _UNEVEN * max(least, 1):
        return (
            f"{least:,} training images in each class."
            if least == most
            else (f"{least:,} to {most:,} training images in a class.")
        )
    times = f"{most / least:.1f} times as many as" if least else "against none in"
    return f"Uneven: the largest class has {most:,} training images, {times} the smallest."


def uploaded(studio: Studio) -> list[str]:
    """Return the paths of all sets that were uploaded, as a recipe says them."""
    return uploads.uploaded(studio.settings.data_root)


def upload(studio: Studio, archive: IO[bytes], name: str, *, replace: bool, progress: Progress) -> Upload:
    """Make a data set of an uploaded zip.

    Raises:
        DataError: the name cannot be used or is taken, or the archive holds no usable set.

    """
    return uploads.unpack(archive, name, root=studio.settings.data_root, replace=replace, progress=progress)


@lru_cache(maxsize=_LOOKS_KEPT)
def _look(spec: DataSpec, root: Path, _changed_at: int) -> Look:
    return look_at(spec, root=root)


def _changed_at(spec: DataSpec, root: Path) -> int:
    """Return when the folder of the data last changed, ns; a new file changes the folder that it is in."""
    if spec.path is None or not DATA[spec.name].needs_path:
        return 0
    folder = place_of(root, spec.path)
    return max((Path(place).stat().st_mtime_ns for place, _, _ in os.walk(folder)), default=0)

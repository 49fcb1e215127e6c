"""A look at a data set: images of each class, and a few of them. Loads no torch, downloads nothing."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from slimcast.catalog import DATA
from slimcast.data.files import ImageFiles
from slimcast.data.folder import open_folder, place_of, streamed
from slimcast.data.images import ImageData
from slimcast.data.load import chosen, path_of
from slimcast.recipe.subject import DataSpec

_SIDE = 96  # pixels; smaller images are enlarged by a whole factor to about this
_MEASURED_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An image of the training set. `png`: the encoded picture. `label`: name of its class."""

    png: bytes
    label: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a data set holds, as a recipe takes it.

    Attributes:
        labels: names of the classes.
        counts: images of each class, in the order of `labels`: of ``train``, ``validation`` (where there is
            one) and ``test``.
        samples: a few images of each of the first classes.
        notes: what a person should know of this copy of the set, such as files that are not used.
    """

    labels: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...]

    def total(self, part: str) -> int:
        """Return how many images a part has; 0 where there is no such part."""
        return sum(self.counts.get(part, ()))


def look(spec: DataSpec, *, root: Path, per_class: int = 6, classes: int = 20) -> Look:
    """Look at the data that a recipe asks for.

    Args:
        spec: the recipe's part `data`.
        root: folder of data sets.
        per_class: images to show of each class.
        classes: of how many classes to show some.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged, or cannot give what is asked for.
    """
    data = chosen(whole(spec, root), spec)
    parts = {"train": data.train_labels, "validation": data.validation_labels, "test": data.test_labels}
    return Look(
        labels=data.labels,
        counts={
            name: tuple(np.bincount(labels, minlength=len(data.labels)).tolist())
            for name, labels in parts.items()
            if labels is not None
        },
        samples=tuple(_samples(data, per_class, classes)),
        notes=data.notes,
    )


def whole(spec: DataSpec, root: Path) -> ImageData:
    """Return all of a data set; images of folders stay on disk until they are asked for.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged.
    """
    entry = DATA[spec.name]
    if not entry.needs_path:
        data: ImageData = entry.load()(root, download=False)
        return data
    opened = open_folder(
        place_of(root, path_of(spec)),
        side=_SIDE,
        channels=spec.channels or entry.channels,
        resize=spec.resize,
    )
    return streamed(opened, measured=_MEASURED_IMAGES)


def _samples(data: ImageData, per_class: int, classes: int) -> list[Sample]:
    samples = []
    for label, name in enumerate(data.labels[:classes]):
        some = np.flatnonzero(data.train_labels == label)[:per_class]
        files = data.train_images
        images = files.select(some).sound() if isinstance(files, ImageFiles) else files[some]
        samples += [Sample(png=picture(image), label=name) for image in images]
    return samples


def picture(pixels: np.ndarray) -> bytes:
    """Return an image, uint8 (H, W, C), as PNG; small ones are enlarged by a whole factor."""
    factor = max(1, round(_SIDE / pixels.shape[0]))
    large = pixels.repeat(factor, 0).repeat(factor, 1)  # a browser would blur small pixels
    buffer = io.BytesIO()
    Image.fromarray(large[..., 0] if large.shape[-1] == 1 else large).save(buffer, "PNG")
    return buffer.getvalue()

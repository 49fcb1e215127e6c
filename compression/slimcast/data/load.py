"""Load a data set of the catalog at the size, and with as many samples, as a recipe asks for."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from slimcast.catalog import DATA, MODELS
from slimcast.data.images import ImageData, resized

_SUBSET_SEED = 7


def image_size_for(model: str, data: str, image_size: int | None) -> int:
    """Return the side in pixels: as asked, else the data's own, but at least what the network needs."""
    return image_size or max(DATA[data].image_size, MODELS[model].image_size)


def load_data(
    name: str,
    *,
    root: Path,
    image_size: int | None = None,
    train_samples: int | None = None,
    test_samples: int | None = None,
) -> ImageData:
    """Return the data set.

    Args:
        name: its name in the catalog.
        root: folder of data sets.
        image_size: side in pixels; None keeps the data's own.
        train_samples, test_samples: how many to keep, always the same ones; None keeps all.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged.
    """
    data: ImageData = DATA[name].load()(root)
    train = _subset(len(data.train_labels), train_samples)
    test = _subset(len(data.test_labels), test_samples)
    data = replace(
        data,
        train_images=data.train_images[train],
        train_labels=data.train_labels[train],
        test_images=data.test_images[test],
        test_labels=data.test_labels[test],
    )
    return resized(data, image_size or data.image_size)


def _subset(count: int, wanted: int | None) -> slice | np.ndarray:
    if wanted is None or wanted >= count:
        return slice(None)
    return np.sort(np.random.default_rng(_SUBSET_SEED).permutation(count)[:wanted])

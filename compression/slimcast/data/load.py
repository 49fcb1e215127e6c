"""Load a data set of the catalog as a recipe asks for it: size, channels, subset, validation split."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from slimcast.catalog import DATA, MODELS
from slimcast.data.images import ImageData, resized
from slimcast.data.subset import split, subset
from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec


def image_size_for(model: str, data: str, image_size: int | None) -> int:
    """Return the side in pixels: as asked, else the data's own, but at least what the network needs."""
    return image_size or max(DATA[data].image_size, MODELS[model].image_size)


def load_data(spec: DataSpec, *, root: Path, image_size: int | None = None) -> ImageData:
    """Return the data set that a recipe asks for, always with the same images.

    The subset is taken first, then the validation images are held back from it.

    Args:
        spec: the recipe's part `data`.
        root: folder of data sets.
        image_size: side in pixels; None takes the recipe's, else the data's own.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged, or cannot give what is asked for.
    """
    entry = DATA[spec.name]
    side = image_size or spec.image_size or entry.image_size
    whole: ImageData = entry.load()(root)
    data = resized(_held_back(_subset(whole, spec), spec), side, spec.channels)
    data = _normalised(data, spec)
    return data if spec.flips is None else replace(data, flips=spec.flips)


def _subset(data: ImageData, spec: DataSpec) -> ImageData:
    train = subset(data.train_labels, spec.train_samples)
    test = subset(data.test_labels, spec.test_samples)
    return replace(
        data,
        train_images=_taken(data.train_images, train),
        train_labels=data.train_labels[train],
        test_images=_taken(data.test_images, test),
        test_labels=data.test_labels[test],
    )


def _held_back(data: ImageData, spec: DataSpec) -> ImageData:
    if spec.validation is None:
        return data
    kept, held = split(data.train_labels, spec.validation)
    return replace(
        data,
        train_images=_taken(data.train_images, kept),
        train_labels=data.train_labels[kept],
        validation_images=_taken(data.train_images, held),
        validation_labels=data.train_labels[held],
    )


def _taken(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return images if len(chosen) == len(images) else images[chosen]


def _normalised(data: ImageData, spec: DataSpec) -> ImageData:
    mean, std = spec.mean or data.mean, spec.std or data.std
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != data.channels:
            raise DataError(
                f"data.{name} has {len(values)} values, but the images have {data.channels} channels: "
                "give one value for each channel, or set data.channels."
            )
    return replace(data, mean=mean, std=std)

"""Load a data set of the catalog as a recipe asks for it: size, channels, subset, validation split."""

from dataclasses import replace
from pathlib import Path

from slimcast.catalog import DATA, MODELS
from slimcast.data.files import taken
from slimcast.data.images import ImageData, resized
from slimcast.data.subset import split, subset
from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec
from slimcast.reporting import Reporter
from slimcast_edge.artifact import InputSpec


def image_size_for(model: str, data: str, image_size: int | None) -> int:
    """Return the side in pixels: as asked, else the data's own, but at least what the network needs."""
    return image_size or max(DATA[data].image_size, MODELS[model].image_size)


def load_data(
    spec: DataSpec, *, root: Path, image_size: int | None = None, reporter: Reporter | None = None
) -> ImageData:
    """Return the data set that a recipe asks for, always with the same images.

    The subset is taken first, then the validation images are held back from it.

    Args:
        spec: the recipe's part `data`.
        root: folder of data sets.
        image_size: side in pixels; None takes the recipe's, else the data's own.
        reporter: hears how far a large folder is read, and can cancel that.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged, or cannot give what is asked for.
        Cancelled: somebody cancelled the run.
    """
    entry = DATA[spec.name]
    side = image_size or spec.image_size or entry.image_size
    load = entry.load()
    if entry.needs_path:
        channels = spec.channels or entry.channels
        whole = load(
            root, path=path_of(spec), side=side, channels=channels, resize=spec.resize, reporter=reporter
        )
    else:
        whole = load(root, download=True)
    data = _normalised(resized(chosen(whole, spec), side, spec.channels, spec.resize), spec)
    return data if spec.flips is None else replace(data, flips=spec.flips)


def input_for(spec: DataSpec, *, side: int, channels: int) -> InputSpec:
    """Return what an artifact says of its images, and of how a camera's frames become such images.

    Training images that were enlarged are coarse; a frame is brought to their own size first, and enlarged as
    they were.

    Args:
        spec: the recipe's part `data`.
        side: of the network's images, pixels.
        channels: of the network's images.

    Raises:
        UnknownKind: the catalog has no such data set.
    """
    entry = DATA[spec.name]
    frames = spec.frames or entry.frames
    if frames.detail is None and not entry.needs_path and entry.image_size < side:
        frames = frames.model_copy(update={"detail": entry.image_size})
    return InputSpec(height=side, width=side, channels=channels, resize=spec.resize, frame=frames)


def path_of(spec: DataSpec) -> str:
    """Return the path of a set that needs one.

    Raises:
        DataError: the recipe has none.
    """
    if spec.path is None:
        raise DataError(f"data.path is missing: {spec.name!r} needs the folder of its images.")
    return spec.path


def chosen(data: ImageData, spec: DataSpec) -> ImageData:
    """Return the images that a recipe asks for, with those held back for validation apart.

    Raises:
        DataError: so many cannot be held back, or the set has validation images of its own.
    """
    return _held_back(_subset(data, spec), spec)


def _subset(data: ImageData, spec: DataSpec) -> ImageData:
    train = subset(data.train_labels, spec.train_samples)
    test = subset(data.test_labels, spec.test_samples)
    return replace(
        data,
        train_images=taken(data.train_images, train),
        train_labels=data.train_labels[train],
        test_images=taken(data.test_images, test),
        test_labels=data.test_labels[test],
    )


def _held_back(data: ImageData, spec: DataSpec) -> ImageData:
    if spec.validation is None:
        return data
    if data.validation_labels is not None:
        raise DataError(
            "This data set has validation images of its own: leave data.validation out of the recipe."
        )
    kept, held = split(data.train_labels, spec.validation)
    return replace(
        data,
        train_images=taken(data.train_images, kept),
        train_labels=data.train_labels[kept],
        validation_images=taken(data.train_images, held),
        validation_labels=data.train_labels[held],
    )


def _normalised(data: ImageData, spec: DataSpec) -> ImageData:
    mean, std = spec.mean or data.mean, spec.std or data.std
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != data.channels:
            raise DataError(
                f"data.{name} has {len(values)} values, but the images have {data.channels} channels: "
                "give one value for each channel, or set data.channels."
            )
    return replace(data, mean=mean, std=std)

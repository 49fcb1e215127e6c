"""A labelled image set as uint8 arrays, and bringing it to another size or number of channels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from slimcast_edge.artifact import InputSpec, Resize
from slimcast_edge.preprocess import prepare

_COUNTED_AT_ONCE = 500  # images; numpy widens what it counts, eight bytes a pixel


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set. Held-out (test) images are for measuring only: nothing is trained or calibrated on them.

    A set too large for memory has images that are decoded from disk when they are asked for
    (`slimcast.data.files.ImageFiles`): take its length, its `shape` and parts of it by slice or index array,
    and call no numpy function on the whole of it.

    Attributes:
        train_images, test_images: uint8, (N, H, W, C). train_labels, test_labels: int64, (N,).
        validation_images, validation_labels: held back from training for choices, None where there are none.
        labels: name of each class. mean, std: of each channel over the training images, pixels taken as 0..1.
        flips: whether a mirrored image is still of its class, so that training may mirror it.
        notes: what a person should know of this copy of the set, such as images that are missing or refused.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation_images: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    flips: bool = False
    notes: tuple[str, ...] = ()

    @property
    def image_size(self) -> int:
        """Side of the square images, pixels."""
        return int(self.train_images.shape[1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train_images.shape[3])


def describe(data: ImageData) -> str:
    """Return one line: how many images there are for what, of which size and how many classes."""
    held = "" if data.validation_labels is None else f"{len(data.validation_labels):,} validation, "
    return (
        f"{len(data.train_labels):,} training, {held}{len(data.test_labels):,} test images of "
        f"{data.image_size}x{data.image_size} pixels, {'RGB' if data.channels == 3 else 'grey'}, "
        f"{len(data.labels)} classes"
    )


def resized(
    data: ImageData, side: int, channels: int | None = None, resize: Resize = "center_crop"
) -> ImageData:
    """Return the set with square images of `side` pixels, by the rule by which a camera's frames are.

    Args:
        data: the set.
        side: pixels.
        channels: 1 grey, 3 RGB; None keeps the set's own. Mean and deviation follow.
        resize: what becomes of images that are not square.
    """
    channels = channels or data.channels
    if (side, channels) == (data.image_size, data.channels):
        return data
    size = InputSpec(height=side, width=side, channels=channels, resize=resize)
    result = _changed(data, lambda images: _prepared(images, size))
    if channels == data.channels:
        return result
    if channels == 3:
        return replace(result, mean=data.mean * 3, std=data.std * 3)
    mean, std = statistics(result.train_images)
    return replace(result, mean=mean, std=std)


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, (N, H, W, C) uint8 taken as 0..1."""
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(images), _COUNTED_AT_ONCE):
        pixels = images[start : start + _COUNTED_AT_ONCE].reshape(-1, images.shape[3])
        for channel in range(images.shape[3]):
            counts[channel] += np.bincount(pixels[:, channel], minlength=256)
    levels = np.arange(256) / 255
    means = [float((count * levels).sum() / count.sum()) for count in counts]
    variances = [
        float((count * (levels - m) ** 2).sum() / count.sum()) for count, m in zip(counts, means, strict=True)
    ]
    # Four digits are plenty, and they read well in the graph of the artifact.
    return tuple(round(m, 4) for m in means), tuple(round(max(v, 1e-6) ** 0.5, 4) for v in variances)


def _changed(data: ImageData, change: Callable[[np.ndarray], np.ndarray]) -> ImageData:
    held = data.validation_images
    return replace(
        data,
        train_images=change(data.train_images),
        test_images=change(data.test_images),
        validation_images=None if held is None else change(held),
    )


def _prepared(images: np.ndarray, size: InputSpec) -> np.ndarray:
    out = np.empty((len(images), size.height, size.width, size.channels), np.uint8)
    for index, image in enumerate(images):
        out[index] = prepare(image, size)[0]
    return out

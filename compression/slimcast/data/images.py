"""A labelled image set as whole uint8 arrays, and bringing it to another size."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set. Held-out (test) images are for measuring only: nothing is trained or calibrated on them.

    Attributes:
        train_images, test_images: uint8, (N, H, W, C). train_labels, test_labels: int64, (N,).
        validation_images, validation_labels: held back from training for choices, None where there are none.
        labels: name of each class. mean, std: of each channel over the training images, pixels taken as 0..1.
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

    @property
    def image_size(self) -> int:
        """Side of the square images, pixels."""
        return int(self.train_images.shape[1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train_images.shape[3])


def resized(data: ImageData, side: int) -> ImageData:
    """Return the set with square images of `side` pixels (bilinear)."""
    if side == data.image_size:
        return data
    return replace(
        data,
        train_images=_resize_all(data.train_images, side),
        test_images=_resize_all(data.test_images, side),
    )


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, (N, H, W, C) uint8 taken as 0..1."""
    counts = [np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[3])]
    levels = np.arange(256) / 255
    means = [float((count * levels).sum() / count.sum()) for count in counts]
    variances = [
        float((count * (levels - m) ** 2).sum() / count.sum()) for count, m in zip(counts, means, strict=True)
    ]
    # Four digits are plenty, and they read well in the graph of the artifact.
    return tuple(round(m, 4) for m in means), tuple(round(max(v, 1e-6) ** 0.5, 4) for v in variances)


def _resize_all(images: np.ndarray, side: int) -> np.ndarray:
    out = np.empty((len(images), side, side, images.shape[3]), np.uint8)
    for index, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        out[index] = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR)).reshape(
            side, side, -1
        )
    return out

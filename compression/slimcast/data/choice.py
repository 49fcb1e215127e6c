"""Images to make choices with: which candidate to keep, when to stop. Never the test images."""

import numpy as np

from slimcast.data.files import taken
from slimcast.data.images import ImageData
from slimcast.data.subset import amount_of, subset

_SHARE = 0.1
_AT_MOST = 2_000
_SEED = 11


def images_for_choice(data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels, (N, H, W, C) uint8 and (N,), that decisions may be made on.

    The validation split where the recipe holds one back; else a fixed tenth of the training images, at most
    2 000, which the network may have seen: good enough to rank candidates, not to state an accuracy. Each
    class is there in proportion.
    """
    if data.validation_images is not None and data.validation_labels is not None:
        return data.validation_images, data.validation_labels
    size = min(_AT_MOST, amount_of(_SHARE, len(data.train_labels)))
    chosen = subset(data.train_labels, size, seed=_SEED)
    return taken(data.train_images, chosen), data.train_labels[chosen]


def some_for_choice(data: ImageData, count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return up to `count` of the images for choices with their labels, each class in proportion."""
    images, labels = images_for_choice(data)
    chosen = subset(labels, min(count, len(labels)), seed=seed)
    return taken(images, chosen), labels[chosen]

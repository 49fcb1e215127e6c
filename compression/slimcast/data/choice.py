"""Images to make choices with: which candidate to keep, when to stop. Never the test images."""

import numpy as np

from slimcast.data.images import ImageData

_SHARE = 0.1
_AT_MOST = 2_000
_SEED = 11


def images_for_choice(data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels, (N, H, W, C) uint8 and (N,), that decisions may be made on.

    The validation split where the recipe holds one back; else a fixed tenth of the training images, at most
    2 000, which the network may have seen: good enough to rank candidates, not to state an accuracy.
    """
    if data.validation_images is not None and data.validation_labels is not None:
        return data.validation_images, data.validation_labels
    count = len(data.train_labels)
    size = min(count, max(1, min(_AT_MOST, round(count * _SHARE))))
    chosen = np.sort(np.random.default_rng(_SEED).permutation(count)[:size])
    return data.train_images[chosen], data.train_labels[chosen]

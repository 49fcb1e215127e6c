"""Fashion-MNIST in torchvision's layout: ``FashionMNIST/raw/`` below the data root, files as MNIST's."""

from dataclasses import replace
from pathlib import Path

from slimcast.data.images import ImageData
from slimcast.data.mnist import load_layout

_LABELS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load(root: Path, *, download: bool = True) -> ImageData:
    """Return all 70 000 images; downloads them when they are not there, and when it may.

    Raises:
        DataError: a file is missing and cannot be downloaded, or is damaged.
    """
    return replace(load_layout(root, "FashionMNIST", _LABELS, download=download), flips=True)

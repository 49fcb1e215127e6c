"""The held-out images of a recipe, as its runs were measured on them. Loads no torch, downloads nothing."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from slimcast.data.load import chosen
from slimcast.data.look import picture, whole
from slimcast.recipe.subject import DataSpec

__all__ = ["HeldOut", "held_out", "picture"]

_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The test part of a set.

    Attributes:
        images: uint8, (N, H, W, C), or files that are decoded when they are asked for.
        truth: int64, (N,). labels: names of the classes.
    """

    images: np.ndarray
    truth: np.ndarray
    labels: tuple[str, ...]


def held_out(spec: DataSpec, *, root: Path) -> HeldOut:
    """Return the held-out images that a recipe asks for, in their own size. The last two sets are kept.

    Raises:
        UnknownKind: the catalog has no such data set.
        DataError: it is missing or damaged, or cannot give what is asked for.
    """
    return _held_out(spec, root)


@lru_cache(maxsize=_KEPT)
def _held_out(spec: DataSpec, root: Path) -> HeldOut:
    data = chosen(whole(spec, root), spec)
    return HeldOut(images=data.test_images, truth=data.test_labels, labels=data.labels)

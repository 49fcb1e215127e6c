"""Parts of a set, by count or share: always the same ones, with every class in proportion."""

import numpy as np

from slimcast.errors import DataError

_SUBSET_SEED = 7
_VALIDATION_SEED = 5


def amount_of(wanted: int | float, count: int) -> int:
    """Return how many of `count` are meant: a whole number is a count, a number below 1 a share."""
    return min(count, max(1, round(wanted * count))) if isinstance(wanted, float) else min(count, wanted)


def subset(labels: np.ndarray, wanted: int | float | None, *, seed: int = _SUBSET_SEED) -> np.ndarray:
    """Return indices, ascending, of the images to keep; every class is there where there are enough.

    A smaller subset is part of a larger one.

    Args:
        labels: int64, (N,).
        wanted: a count, a share (below 1), or None for all.
        seed: which ones.
    """
    if wanted is None:
        return np.arange(len(labels))
    return np.sort(_in_proportion(labels, seed)[: amount_of(wanted, len(labels))])


def split(
    labels: np.ndarray, wanted: int | float, *, seed: int = _VALIDATION_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending indices (kept, held back); each class keeps at least one image.

    Args:
        labels: int64, (N,).
        wanted: how many to hold back: a count, or a share (below 1).
        seed: which ones.

    Raises:
        DataError: so many cannot be held back.
    """
    count = amount_of(wanted, len(labels))
    classes = len(np.unique(labels))
    if count > len(labels) - classes:
        raise DataError(
            f"{count} of {len(labels)} images cannot be held back: "
            f"at least one of each of the {classes} classes must stay to train with."
        )
    order = _in_proportion(labels, seed)
    # The last of a class in this order is the one that stays.
    last = {int(labels[index]): int(index) for index in order}
    candidates = order[~np.isin(order, list(last.values()))]
    held = np.sort(candidates[:count])
    return np.setdiff1d(np.arange(len(labels)), held), held


def _in_proportion(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return all indices in an order whose every beginning holds the classes in proportion."""
    random = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        place[members] = np.arange(len(members)) / len(members)
    # Equal places are drawn by lot, so that no class always comes first.
    return np.lexsort((random.permutation(len(labels)), place))

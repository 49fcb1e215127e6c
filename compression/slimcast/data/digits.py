"""The handwritten digits that come with scikit-learn: 1 797 real images of 8x8 pixels."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from slimcast.data.images import ImageData, statistics
from slimcast.errors import DataError

_FILE = Path("datasets", "data", "digits.csv.gz")
_TEST_SHARE = 0.25
_SPLIT_SEED = 20_261_121


def load(root: Path, *, download: bool = True) -> ImageData:
    """Return the set, split once and for all by class, a quarter for testing.

    It comes with scikit-learn: `root` and `download` are not used.
    """
    values, labels = _read()
    # Values go from 0 to 16.
    images = np.round(values.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    test = _stratified(labels)
    train = np.setdiff1d(np.arange(len(labels)), test)
    mean, std = statistics(images[train])
    return ImageData(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        labels=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
    )


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Return values (N, 64) and labels (N,).

    Raises:
        DataError: scikit-learn is not installed, or has no such file.
    """
    # The file rather than `sklearn.datasets`: importing that, with all of SciPy, takes longer than
    # training on it.
    spec = find_spec("sklearn")
    path = Path(spec.origin).parent / _FILE if spec is not None and spec.origin else _FILE
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, delimiter=",")
    except (OSError, ValueError) as error:
        raise DataError(
            f"Cannot read {path}, which comes with scikit-learn: {error}. "
            "Install it with: pip install 'slimcast[studio]'"
        ) from error
    if table.shape != (1797, 65):
        raise DataError(f"{path} holds a table {table.shape}, expected (1797, 65).")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _stratified(labels: np.ndarray) -> np.ndarray:
    """Return the indices of the test images: the same share of each class, in the order of the set."""
    random = np.random.default_rng(_SPLIT_SEED)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen.append(random.permutation(members)[: round(len(members) * _TEST_SHARE)])
    return np.sort(np.concatenate(chosen))

"""MNIST in torchvision's layout: ``MNIST/raw/`` below the data root, files plain or gzipped."""

from pathlib import Path

import numpy as np

from slimcast.data.idx import read_idx
from slimcast.data.images import ImageData, statistics
from slimcast.errors import DataError

_FILES = {
    "train_images": ("train-images-idx3-ubyte", 60_000),
    "train_labels": ("train-labels-idx1-ubyte", 60_000),
    "test_images": ("t10k-images-idx3-ubyte", 10_000),
    "test_labels": ("t10k-labels-idx1-ubyte", 10_000),
}


def load(root: Path, *, download: bool = True) -> ImageData:
    """Return all 70 000 images; downloads them when they are not there, and when it may.

    Raises:
        DataError: a file is missing and cannot be downloaded, or is damaged.
    """
    return load_layout(root, "MNIST", tuple(str(digit) for digit in range(10)), download=download)


def load_layout(root: Path, name: str, labels: tuple[str, ...], *, download: bool) -> ImageData:
    """Return a set of ten classes in MNIST's files and sizes, from ``NAME/raw/`` below the data root.

    Args:
        root: folder of data sets.
        name: of the folder, and of torchvision's class that can download the set.
        labels: names of the classes.
        download: whether missing files may be downloaded.

    Raises:
        DataError: a file is missing and cannot be downloaded, or is damaged.
    """
    folder = root / name / "raw"
    if any(_find(folder, file) is None for file, _ in _FILES.values()):
        _download(root, name) if download else _say_what_is_missing(root, name)
    arrays = {
        key: _read(folder, file, count, images=key.endswith("images"))
        for key, (file, count) in _FILES.items()
    }
    mean, std = statistics(arrays["train_images"][..., None])
    return ImageData(
        train_images=arrays["train_images"][..., None],
        train_labels=arrays["train_labels"].astype(np.int64),
        test_images=arrays["test_images"][..., None],
        test_labels=arrays["test_labels"].astype(np.int64),
        labels=labels,
        mean=mean,
        std=std,
    )


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read(folder: Path, name: str, count: int, *, images: bool) -> np.ndarray:
    path = _find(folder, name)
    if path is None:
        raise DataError(f"{folder.parent.name} lacks {folder / name} (or {name}.gz).")
    array = read_idx(path, 3 if images else 1)
    expected = (count, 28, 28) if images else (count,)
    if array.shape != expected:
        raise DataError(f"{path} holds an array {array.shape}, expected {expected}.")
    if not images and array.max(initial=0) > 9:
        raise DataError(f"{path} holds the label {array.max()}, expected 0 to 9.")
    return array


def _say_what_is_missing(root: Path, name: str) -> None:
    missing = [f"{file}.gz" for file, _ in _FILES.values() if _find(root / name / "raw", file) is None]
    raise DataError(
        f"{name} is not complete: {root / name / 'raw'} lacks {', '.join(missing)}. A run downloads it."
    )


def _download(root: Path, name: str) -> None:
    folder = root / name / "raw"
    missing = [file for file, _ in _FILES.values() if _find(folder, file) is None]
    try:
        from torchvision import datasets

        getattr(datasets, name)(str(root), train=True, download=True)
    except (OSError, RuntimeError, ImportError) as error:
        files = ", ".join(f"{file}.gz" for file in missing)
        raise DataError(
            f"{name} is not complete and could not be downloaded ({_first_line(error)}). "
            f"Put {files} into {folder}, or point SLIMCAST_DATA_ROOT to a folder that has {name}/raw."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")

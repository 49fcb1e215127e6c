"""CIFAR-10 and CIFAR-100 in their official binary layout: no pickle is read.

A record is one label byte (two in CIFAR-100: coarse, fine) and 3 072 bytes of pixels, (3, 32, 32), red first.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slimcast.data.fetch import Archive, fetch
from slimcast.data.images import ImageData, statistics
from slimcast.errors import DataError

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """One of the two sets. `label_bytes`: before each image; the last of them is the class."""

    title: str
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    names_file: str
    classes: int
    label_bytes: int
    archive: Archive

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train_files, self.test_file, self.names_file)


_CIFAR10 = _Layout(
    title="CIFAR-10",
    folder="cifar-10-batches-bin",
    train_files=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test_file="test_batch.bin",
    names_file="batches.meta.txt",
    classes=10,
    label_bytes=1,
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
    ),
)
_CIFAR100 = _Layout(
    title="CIFAR-100",
    folder="cifar-100-binary",
    train_files=("train.bin",),
    test_file="test.bin",
    names_file="fine_label_names.txt",
    classes=100,
    label_bytes=2,
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
    ),
)


def load_cifar10(root: Path, *, download: bool = True) -> ImageData:
    """Return CIFAR-10 from ``cifar-10-batches-bin/``; downloads it when it is not there, and when it may.

    Training batches that are missing are left out, and `ImageData.notes` says so: one batch is enough.

    Raises:
        DataError: no training batch or no test batch, and no download; or a file is damaged.
    """
    return _load(root, _CIFAR10, download)


def load_cifar100(root: Path, *, download: bool = True) -> ImageData:
    """Return CIFAR-100 with its hundred fine labels from ``cifar-100-binary/``.

    Downloads it when it is not there, and when it may.

    Raises:
        DataError: a file is missing and cannot be downloaded, or is damaged.
    """
    return _load(root, _CIFAR100, download)


def _load(root: Path, layout: _Layout, download: bool) -> ImageData:
    folder = root / layout.folder
    if not _complete(folder, layout):
        if not download:
            wanted = ", ".join(layout.files)
            raise DataError(
                f"{layout.title} is not complete: {folder} must hold {wanted}. A run downloads it."
            )
        fetch(layout.archive, folder, layout.files, title=layout.title)
    there = [folder / name for name in layout.train_files if (folder / name).is_file()]
    parts = [_records(path, layout) for path in there]
    train_images = np.concatenate([images for images, _ in parts])
    test_images, test_labels = _records(folder / layout.test_file, layout)
    mean, std = statistics(train_images)
    return ImageData(
        train_images=train_images,
        train_labels=np.concatenate([labels for _, labels in parts]),
        test_images=test_images,
        test_labels=test_labels,
        labels=_names(folder / layout.names_file, layout.classes),
        mean=mean,
        std=std,
        flips=True,
        notes=_notes(layout, there, len(train_images), len(test_images)),
    )


def _complete(folder: Path, layout: _Layout) -> bool:
    """Return whether there is enough to work with."""
    some = any((folder / name).is_file() for name in layout.train_files)
    return some and (folder / layout.test_file).is_file() and (folder / layout.names_file).is_file()


def _records(path: Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 (N, 32, 32, 3), and labels, int64 (N,)."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error}.") from error
    record = layout.label_bytes + _PIXELS
    if not len(content) or len(content) % record:
        raise DataError(
            f"{path} is damaged: {len(content)} bytes are no whole number of {record}-byte records."
        )
    table = content.reshape(-1, record)
    labels = table[:, layout.label_bytes - 1].astype(np.int64)
    if labels.max() >= layout.classes:
        raise DataError(f"{path} holds the label {labels.max()}, expected 0 to {layout.classes - 1}.")
    images = table[:, layout.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def _names(path: Path, classes: int) -> tuple[str, ...]:
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.") from error
    if len(names) != classes or len(set(names)) != classes:
        raise DataError(
            f"{path} must name {classes} different classes, one a line; it has {len(set(names))}."
        )
    return names


def _notes(layout: _Layout, there: list[Path], train: int, test: int) -> tuple[str, ...]:
    if (train, test) == (50_000, 10_000):
        return ()
    missing = [name for name in layout.train_files if name not in {path.name for path in there}]
    why = f"; {', '.join(missing)} not there" if missing else ""
    return (f"{layout.title} has {train:,} of 50,000 training and {test:,} of 10,000 test images here{why}",)

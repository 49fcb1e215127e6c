"""One's own images in folders, one for each class: held in memory when they are few, else streamed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from slimcast.data.files import ImageFiles, decode, why_refused
from slimcast.data.images import ImageData, statistics
from slimcast.data.subset import split, subset
from slimcast.data.tree import Refused, Tree, describe_refused, find_images
from slimcast.errors import DataError
from slimcast.reporting import Reporter, SilentReporter
from slimcast_edge.artifact import InputSpec, Resize

MEMORY_BYTES = 512 * 2**20
"""Sets up to this size, decoded, are held in memory; larger ones are decoded batch by batch."""
_TEST_SHARE = 0.2
_TEST_SEED = 20_261_122
_MEASURED_IMAGES = 2_000
_AT_ONCE = 512

Listed = tuple[list[Path], np.ndarray]
"""Files, and their labels, int64 (N,)."""


@dataclass(frozen=True, kw_only=True)
class OpenFolder:
    """The images of a folder, not yet decoded.

    Attributes:
        tree: folder and classes.
        splits: ``train``, ``test`` and maybe ``validation``: files and labels, int64 (N,).
        refused: files that are not used.
    """

    tree: Tree
    splits: Mapping[str, tuple[ImageFiles, np.ndarray]]
    refused: list[Refused]

    @property
    def nbytes(self) -> int:
        """Bytes of all images, decoded."""
        return sum(files.nbytes for files, _ in self.splits.values())


def place_of(root: Path, path: str) -> Path:
    """Return the folder that a recipe's `path` means: relative ones lie below the data root."""
    return root / Path(path).expanduser()


def load(
    root: Path,
    *,
    path: str,
    side: int,
    channels: int,
    resize: Resize = "center_crop",
    reporter: Reporter | None = None,
) -> ImageData:
    """Return the images of a folder, each brought to `side` pixels, with `channels` 1 or 3.

    Without parts of its own, a fifth of each class is held out for testing, always the same images.

    Raises:
        DataError: the folder does not hold what is expected, or a class has no image that can be used.
        Cancelled: somebody cancelled the run.
    """
    opened = open_folder(place_of(root, path), side=side, channels=channels, resize=resize)
    if opened.nbytes > MEMORY_BYTES:
        data = streamed(opened)
        count = sum(len(files) for files, _ in opened.splits.values())
        return replace(data, notes=(f"{count:,} images are read from disk batch by batch", *data.notes))
    return _in_memory(opened, reporter or SilentReporter())


def open_folder(folder: Path, *, side: int, channels: int, resize: Resize = "center_crop") -> OpenFolder:
    """Find the images and look at the head of each; files that are no images are left out, and named.

    Raises:
        DataError: the folder does not hold what is expected, or a class has no image that can be used.
    """
    tree = find_images(folder)
    listed, refused = _readable(tree)
    parts = _parts(listed)
    _check(tree, {name: labels for name, (_, labels) in parts.items()}, refused)
    size = InputSpec(height=side, width=side, channels=channels, resize=resize)
    splits = {name: (ImageFiles(paths, size), labels) for name, (paths, labels) in parts.items()}
    return OpenFolder(tree=tree, splits=splits, refused=refused)


def _readable(tree: Tree) -> tuple[dict[str, Listed], list[Refused]]:
    listed, refused = {}, list(tree.refused)
    for name, files in tree.splits.items():
        reasons = why_refused([path for path, _ in files])
        kept = [item for item, reason in zip(files, reasons, strict=True) if not reason]
        listed[name] = ([path for path, _ in kept], np.array([label for _, label in kept], np.int64))
        told = zip((path for path, _ in files), reasons, strict=True)
        refused += [tree.refusal(path, reason) for path, reason in told if reason]
    return listed, refused


def _parts(listed: dict[str, Listed]) -> dict[str, Listed]:
    """Hold out test images where the folder has none of its own."""
    if "all" not in listed:
        return listed
    paths, labels = listed["all"]
    kept, held = split(labels, _TEST_SHARE, seed=_TEST_SEED) if paths else (labels, labels)
    return {
        "train": ([paths[index] for index in kept], labels[kept]),
        "test": ([paths[index] for index in held], labels[held]),
    }


def _check(tree: Tree, labels: Mapping[str, np.ndarray], refused: list[Refused]) -> None:
    """Make sure that each class has a training image, and that there is something to test with.

    Raises:
        DataError: that is not so.
    """
    there = set(labels["train"].tolist())
    lacking = [f"of the class {name!r}" for label, name in enumerate(tree.classes) if label not in there]
    lacking += [f"for {name}" for name, found in labels.items() if not len(found)]
    if lacking:
        told = describe_refused(refused)
        raise DataError(f"{tree.folder} has no image {lacking[0]}." + (f" {told}." if told else ""))


def streamed(opened: OpenFolder, *, measured: int = _MEASURED_IMAGES) -> ImageData:
    """Return the images as files that are decoded when they are asked for.

    Args:
        opened: the folder.
        measured: how many of them mean and deviation are taken from.

    Raises:
        DataError: none of these can be decoded.
    """
    train, labels = opened.splits["train"]
    sound = train.select(subset(labels, measured)).sound()
    if not len(sound):
        raise DataError(f"None of {measured} images in {opened.tree.folder} can be decoded.")
    # The array-like that `ImageData` promises for large sets.
    arrays = cast(Mapping[str, tuple[np.ndarray, np.ndarray]], opened.splits)
    return _as_data(opened, arrays, sound)


def _in_memory(opened: OpenFolder, reporter: Reporter) -> ImageData:
    arrays, refused = {}, list(opened.refused)
    for name, (files, labels) in opened.splits.items():
        images, failed = _decoded(files, reporter)
        refused += [opened.tree.refusal(files.paths[index], reason) for index, reason in failed.items()]
        kept = np.setdiff1d(np.arange(len(files)), list(failed))
        arrays[name] = (images[kept], labels[kept]) if failed else (images, labels)
    _check(opened.tree, {name: labels for name, (_, labels) in arrays.items()}, refused)
    return _as_data(replace(opened, refused=refused), arrays, arrays["train"][0])


def _decoded(files: ImageFiles, reporter: Reporter) -> tuple[np.ndarray, dict[int, str]]:
    images = np.empty(files.shape, np.uint8)
    failed: dict[int, str] = {}
    for start in range(0, len(files), _AT_ONCE):
        reporter.check_cancelled()
        reporter.progress(0.0, f"Reading images, {start:,} of {len(files):,}")
        part = slice(start, start + _AT_ONCE)
        images[part], reasons = decode(files.paths[part], files.size)
        failed |= {start + index: reason for index, reason in reasons.items()}
    return images, failed


def _as_data(
    opened: OpenFolder,
    arrays: Mapping[str, tuple[np.ndarray, np.ndarray]],
    measured: np.ndarray,
) -> ImageData:
    mean, std = statistics(measured)
    told = describe_refused(opened.refused)
    held = arrays.get("validation", (None, None))
    return ImageData(
        train_images=arrays["train"][0],
        train_labels=arrays["train"][1],
        test_images=arrays["test"][0],
        test_labels=arrays["test"][1],
        validation_images=held[0],
        validation_labels=held[1],
        labels=opened.tree.classes,
        mean=mean,
        std=std,
        flips=True,
        notes=(told,) if told else (),
    )

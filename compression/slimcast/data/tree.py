"""Find the images of a folder: ``train/CLASS/...`` beside ``test/CLASS/...``, or ``CLASS/...`` alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slimcast.errors import DataError

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""By the name of the folder, lower case."""
_NOT_MEANT = {"__macosx", "thumbs.db", "desktop.ini"}
_MOST_WRAPPERS = 3
_NAMED = 10
_LONGEST_LABEL = 200  # as an artifact takes it


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file that is not used. `name`: its path below the folder. `reason` completes "NAME ..."."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What a folder holds.

    Attributes:
        folder: where the images really begin.
        classes: their names, sorted, as the labels count them.
        splits: files with their labels: ``train``, ``test`` and, where the folder has both test and val,
            ``validation``; or ``all``, where it has no such parts.
        refused: files that lie in no class.
    """

    folder: Path
    classes: tuple[str, ...]
    splits: dict[str, list[tuple[Path, int]]]
    refused: tuple[Refused, ...]

    def refusal(self, path: Path, reason: str) -> Refused:
        """Return why a file of this folder is not used."""
        return Refused(name=str(path.relative_to(self.folder)), reason=reason)


def find_images(folder: Path) -> Tree:
    """Find classes and files; no file is opened.

    Raises:
        DataError: there is no such folder, no two classes, or the classes differ between its parts.
    """
    try:
        folder = _unwrapped(folder)
        parts = _parts(folder)
        classes = _same_classes(folder, parts)
        splits = {name: _labelled(part, classes) for name, part in parts.items()}
    except OSError as error:
        raise DataError(f"Cannot read the folder of images {folder}: {error}.") from error
    return Tree(folder=folder, classes=classes, splits=splits, refused=_stray(folder, parts))


def describe_refused(refused: Sequence[Refused]) -> str:
    """Return one sentence: how many files are not used, and which, the first ten by name."""
    if not refused:
        return ""
    named = "; ".join(f"{item.name} {item.reason}" for item in refused[:_NAMED])
    more = f"; and {len(refused) - _NAMED:,} more" if len(refused) > _NAMED else ""
    count = "1 file is" if len(refused) == 1 else f"{len(refused):,} files are"
    return f"{count} not used: {named}{more}"


def meant(name: str) -> bool:
    """Return whether a file or folder of that name counts: hidden ones and those of file managers do not."""
    return not name.startswith(".") and name.lower() not in _NOT_MEANT


def _unwrapped(folder: Path) -> Path:
    """Step into a folder that holds nothing but one folder of folders, as archives often do."""
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}. Expected train/CLASS/ and test/CLASS/ (or CLASS/ alone) in it."
        )
    for _ in range(_MOST_WRAPPERS):
        inside = _folders(folder)
        if len(inside) != 1 or inside[0].name.lower() in _SPLITS or not _folders(inside[0]):
            break
        folder = inside[0]
    return folder


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of training, validation and test images, or the folder itself as ``all``."""
    folders = _folders(folder)
    named = [path for path in folders if path.name.lower() in _SPLITS]
    parts = {_SPLITS[path.name.lower()]: path for path in named}
    if not named or ("train" not in parts and len(named) < len(folders)):
        return {"all": folder}
    if len(parts) < len(named) or len(parts) == 1 or "train" not in parts:
        raise DataError(
            f"{folder} has the folders {', '.join(path.name for path in named)}. Expected train and one of "
            "test and val, or both; or one folder for each class and nothing else."
        )
    if "test" not in parts:
        parts["test"] = parts.pop("validation")
    return parts


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if meant(path.name) and path.is_dir())


def _same_classes(folder: Path, parts: dict[str, Path]) -> tuple[str, ...]:
    found = {name: {path.name for path in _folders(part)} for name, part in parts.items()}
    first = next(iter(found))
    wanted = found.get("train", found[first])
    for name, classes in found.items():
        if classes != wanted:
            raise DataError(
                f"The classes in {parts['train']} and {parts[name]} differ: "
                f"{_only('train', wanted - classes)}{_only(name, classes - wanted)}".rstrip("; ")
                + ". Each class needs a folder of the same name in both."
            )
    if len(wanted) < 2:
        have = f"only {next(iter(wanted))!r}" if wanted else "none"
        raise DataError(
            f"{parts.get('train', folder)} must have a folder for each of two or more classes; it has {have}."
        )
    if too_long := next((name for name in sorted(wanted) if len(name) > _LONGEST_LABEL), ""):
        raise DataError(f"The name of the class {too_long[:40]}... is longer than {_LONGEST_LABEL} letters.")
    return tuple(sorted(wanted))


def _only(part: str, classes: set[str]) -> str:
    if not classes:
        return ""
    names = ", ".join(sorted(classes)[:_NAMED])
    more = f" and {len(classes) - _NAMED} more" if len(classes) > _NAMED else ""
    return f"only in {part}: {names}{more}; "


def _labelled(part: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    return [(path, label) for label, name in enumerate(classes) for path in _files(part / name)]


def _files(folder: Path) -> list[Path]:
    """Return all files below a folder that are meant, sorted."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if meant(name)]
        found += [Path(place, name) for name in files if meant(name)]
    return sorted(found)


def _stray(folder: Path, parts: dict[str, Path]) -> tuple[Refused, ...]:
    """Return what lies beside the classes, where it is easily taken for part of the set."""
    refused = []
    for place in sorted({folder, *parts.values()}):
        for path in sorted(place.iterdir()):
            name = str(path.relative_to(folder))
            if meant(path.name) and not path.is_dir():
                refused.append(Refused(name=name, reason="lies in no class"))
            elif meant(path.name) and place == folder and "all" not in parts and path not in parts.values():
                refused.append(Refused(name=f"{name}/", reason="is none of train, val and test"))
    return tuple(refused)

"""A zip from a browser becomes a folder of images below the data root, or nothing does.

Nothing in the archive is trusted: not its names, not its sizes, not what it says of itself.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slimcast.data.files import decode, why_refused
from slimcast.data.folder import OpenFolder, open_folder
from slimcast.data.tree import Refused, describe_refused, meant
from slimcast.data.unzip import Progress, shown, unzip
from slimcast.errors import DataError
from slimcast_edge.artifact import InputSpec

UPLOADS = "uploads"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_STALE_S = 24 * 3600
_DRAFT = ".upload-"
_OLD = ".replaced-"
_SMALL = InputSpec(height=8, width=8, channels=3)
_CHECKED_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What came of it.

    Attributes:
        path: what a recipe says as `data.path`.
        images: how many there are. labels: names of the classes.
        refused: files that were left out.
    """

    path: str
    images: int
    labels: tuple[str, ...]
    refused: tuple[Refused, ...]


def unpack(
    archive: IO[bytes], name: str, *, root: Path, replace: bool = False, progress: Progress | None = None
) -> Upload:
    """Unpack a zip of images into ``uploads/NAME`` below the data root; it appears whole or not at all.

    Files that are no sound images are left out and named.

    Args:
        archive: the zip, seekable.
        name: of the data set: letters, digits, ``_ . -``.
        root: folder of data sets.
        replace: whether a set of that name may be replaced.
        progress: hears the share that is done, 0 to 1.

    Raises:
        DataError: the name cannot be used or is taken, the archive is damaged or not to be trusted, or it
            holds no usable set of images.
    """
    target = _target(root, name, replace=replace)
    tell = progress or (lambda _share: None)
    try:
        with _draft_folder(target.parent) as draft:
            refused = unzip(archive, draft, lambda share: tell(0.6 * share))
            refused += _without_damaged(draft, tell)
            opened = _opened(draft, name, refused)
            refused += opened.refused
            _remove(opened)
            _place(draft, target, replace=replace)
    except OSError as error:
        raise DataError(f"The images could not be written to {target.parent}: {error}.") from error
    return Upload(
        path=f"{UPLOADS}/{name}",
        images=sum(len(labels) for _, labels in opened.splits.values()),
        labels=opened.tree.classes,
        refused=tuple(refused),
    )


def uploaded(root: Path) -> list[str]:
    """Return the paths, as a recipe says them, of all sets that were uploaded, by name."""
    folder = root / UPLOADS
    if not folder.is_dir():
        return []
    return sorted(f"{UPLOADS}/{path.name}" for path in folder.iterdir() if meant(path.name) and path.is_dir())


def _target(root: Path, name: str, *, replace: bool) -> Path:
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{name[:80]!r} cannot be the name of a data set. It must be 1 to 64 of A-Z a-z 0-9 _ . - and "
            "begin with a letter or digit."
        )
    target = root / UPLOADS / name
    if target.exists() and not replace:
        raise DataError(f"There already is a data set {UPLOADS}/{name}. Choose another name, or replace it.")
    return target


@contextmanager
def _draft_folder(uploads: Path) -> Iterator[Path]:
    """Give a fresh folder beside the finished ones; what of it is not moved away is removed."""
    uploads.mkdir(parents=True, exist_ok=True)
    for left in uploads.iterdir():  # by a process that died
        if left.name.startswith((_DRAFT, _OLD)) and time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=uploads))
    draft.chmod(0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _without_damaged(draft: Path, tell: Progress) -> list[Refused]:
    """Decode every file once, small, and remove those that are no sound images."""
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    refused = []
    for start in range(0, len(paths), _CHECKED_AT_ONCE):
        tell(0.6 + 0.4 * start / len(paths))
        part = paths[start : start + _CHECKED_AT_ONCE]
        reasons = dict(zip(part, why_refused(part), strict=True))
        sound = [path for path in part if not reasons[path]]
        reasons |= {sound[index]: reason for index, reason in decode(sound, _SMALL)[1].items()}
        for path in part:
            if reasons[path]:
                path.unlink()
                refused.append(Refused(name=shown(str(path.relative_to(draft))), reason=reasons[path]))
    return refused


def _opened(draft: Path, name: str, refused: list[Refused]) -> OpenFolder:
    try:
        return open_folder(draft, side=_SMALL.width, channels=_SMALL.channels)
    except DataError as error:
        # By the name that the person has given, not that of a passing folder.
        told = describe_refused(refused)
        text = str(error).replace(str(draft), name)
        raise DataError(text + (f" {told}." if told else "")) from error


def _remove(opened: OpenFolder) -> None:
    """Remove what belongs to no class, so that no run has to speak of it."""
    for item in opened.refused:
        path = opened.tree.folder / item.name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _place(draft: Path, target: Path, *, replace: bool) -> None:
    if not target.exists():
        draft.rename(target)
        return
    if not replace:
        raise DataError(f"There already is a data set {UPLOADS}/{target.name}; it was made meanwhile.")
    old = Path(tempfile.mkdtemp(prefix=_OLD, dir=target.parent))
    target.rename(old / target.name)
    try:
        draft.rename(target)
    except OSError:
        (old / target.name).rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

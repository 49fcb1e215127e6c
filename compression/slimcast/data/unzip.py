"""Unpack the files of a zip that may be believed: no path, size or kind that it claims is trusted."""

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from slimcast.data.tree import Refused, meant
from slimcast.data.zip_directory import directory_bytes
from slimcast.errors import DataError

_MOST_FILES = 200_000
_MOST_DIRECTORY_BYTES = 32 * 2**20
_MOST_BYTES = 8 * 2**30
_MOST_FILE_BYTES = 64 * 2**20
_MOST_RATIO = 100  # images are compressed already; only a bomb shrinks so much
_RATIO_FROM_BYTES = 16 * 2**20  # below that, a few plain bitmaps may
_SPARE_BYTES = 256 * 2**20
_DEEPEST = 8
_LONGEST_NAME = 200
_CHUNK_BYTES = 2**20
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ")

Progress = Callable[[float], None]
"""Hears the share that is done, 0 to 1."""


def unzip(archive: IO[bytes], folder: Path, tell: Progress) -> list[Refused]:
    """Unpack a zip into an empty folder, and return which of its files were left out, and why.

    Left out are links, encrypted files, archives, and names that lead elsewhere. Hidden files do not count.

    Raises:
        DataError: this is no zip, or one that would fill the disk.
        OSError: the folder cannot be written.
    """
    if directory_bytes(archive) > _MOST_DIRECTORY_BYTES:
        raise DataError(f"The archive holds too many files; {_MOST_FILES:,} are allowed.")
    refused, seen = [], set()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if _counts(entry)]
            _check_totals(entries, archive.seek(0, os.SEEK_END), shutil.disk_usage(folder).free)
            for index, entry in enumerate(entries):
                tell(index / len(entries))
                parts = [
                    part for part in entry.filename.replace("\\", "/").split("/") if part not in {"", "."}
                ]
                key = "/".join(parts).casefold()
                reason = _why_not(entry, parts) or ("is there twice" if key in seen else "")
                seen.add(key)
                if reason := reason or _write(opened, entry, folder.joinpath(*parts)):
                    refused.append(Refused(name=shown(entry.filename), reason=reason))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise DataError(f"The file is no zip archive, or it is damaged: {error}.") from error
    return refused


def _counts(entry: zipfile.ZipInfo) -> bool:
    *_, last = names = entry.filename.replace("\\", "/").split("/")
    return bool(last) and all(meant(name) for name in names if name not in {".", ".."})


def _check_totals(entries: list[zipfile.ZipInfo], archive_bytes: int, free_bytes: int) -> None:
    """Compare what the archive would become with what is allowed.

    `zipfile` gives no more bytes of an entry than the size that is told here, so that a lie only cuts it off.

    Raises:
        DataError: it is too much.
    """
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_FILES:
        raise DataError(f"The archive holds {len(entries):,} files; {_MOST_FILES:,} are allowed.")
    if total > _MOST_BYTES:
        raise DataError(f"The archive would unpack to {total:,} bytes; {_MOST_BYTES:,} are allowed.")
    if total > max(_RATIO_FROM_BYTES, _MOST_RATIO * archive_bytes):
        raise DataError(
            f"The archive of {archive_bytes:,} bytes would unpack to {total:,}: images do not shrink so much."
        )
    if total > free_bytes - _SPARE_BYTES:
        raise DataError(f"The archive would unpack to {total:,} bytes, and the disk has {free_bytes:,} left.")


def _why_not(entry: zipfile.ZipInfo, parts: list[str]) -> str:
    """Return why an entry is not even read, empty where it may be."""
    name = entry.filename.replace("\\", "/")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts:
        return "would lie outside the folder"
    if (
        not parts
        or not name.isprintable()
        or len(parts) > _DEEPEST
        or max(len(part.encode()) for part in parts) > _LONGEST_NAME
    ):
        return "has a name that cannot be used"
    if kind not in {0, stat.S_IFREG}:
        return "is a link or another special file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is compressed otherwise than by deflate"
    if entry.file_size > _MOST_FILE_BYTES:
        return f"is too large, {entry.file_size:,} bytes"
    return ""


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> str:
    """Write one file; return why it was not, empty where it was."""
    try:
        with opened.open(entry) as source:
            head = source.read(_CHUNK_BYTES)
            if head.startswith(_ARCHIVES):
                return "is an archive itself"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(head)
                shutil.copyfileobj(source, file, _CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError):
        path.unlink(missing_ok=True)
        return "is damaged"
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return "has the name of a folder, or lies in a file"
    return ""


def shown(name: str) -> str:
    """Return the name of an entry as it may be shown: one line, not too long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "..."

"""Artifact files, named by the sha256 of their content, on any file system that fsspec reaches."""

import hashlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from slimcast.errors import StoreError

_BLOCK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArtifactFiles:
    """A folder of files that never change: ``<url>/ab/abcdef...``.

    A file is there whole or not at all: it is written under another name, checked, and then renamed.
    """

    def __init__(self, url: str, *, cache: Path) -> None:
        self.url = url.rstrip("/")
        self._cache = cache
        self._local_root = Path(self.url.removeprefix("file://")) if _is_local(self.url) else None

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            StoreError: it cannot be created.
        """
        if self._local_root is not None:
            try:
                self._local_root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"Slimcast cannot write artifacts to {self._local_root}: {error}. "
                    "Make the folder writable, or set SLIMCAST_ARTIFACT_URL to one that is."
                ) from error

    def put(self, source: Path | bytes) -> str:
        """Store a file, or bytes, and return its sha256. What is stored already is checked and left alone.

        Raises:
            StoreError: it could not be written, or what was written is not what came.
        """
        with self._one_error("be written"):
            sha256 = _hash(_open_source(source))
            place = self._place(sha256)
            if self._fs.exists(place) and _hash(self._fs.open(place, "rb")) == sha256:
                return sha256
            if self._local_root is None:
                self._write_remote(source, place, sha256)
            else:
                _write_local(_open_source(source), Path(place), sha256)
            return sha256

    def exists(self, sha256: str) -> bool:
        """Return whether the file is there."""
        with self._one_error("be read"):
            return bool(self._fs.exists(self._place(sha256)))

    def size(self, sha256: str) -> int:
        """Return the size in bytes.

        Raises:
            StoreError: the file is not there.
        """
        with self._one_error("be read", sha256):
            return int(self._fs.size(self._place(sha256)))

    def open(self, sha256: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            StoreError: the file is not there.
        """
        with self._one_error("be read", sha256):
            return cast(BinaryIO, self._fs.open(self._place(sha256), "rb"))

    def read(self, sha256: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes from `offset` on; fewer at the end, all when `length` is None.

        Raises:
            StoreError: the file is not there.
        """
        with self._one_error("be read", sha256), self.open(sha256) as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def remove(self, sha256: str) -> None:
        """Remove a file, and its copy on this machine; nothing happens where it is not there.

        Raises:
            StoreError: it cannot be removed.
        """
        place = self._place(sha256)
        with self._one_error("be removed"):
            with suppress(FileNotFoundError):
                self._fs.rm(place)
            (self._cache / sha256[:2] / sha256).unlink(missing_ok=True)

    def local_path(self, sha256: str) -> Path:
        """Return a path on this machine: the file itself where artifacts are local, else a checked copy.

        Raises:
            StoreError: the file is not there, or the copy is damaged.
        """
        place = self._place(sha256)
        if self._local_root is not None:
            if not Path(place).is_file():
                raise StoreError(self._missing(sha256))
            return Path(place)
        copy = self._cache / sha256[:2] / sha256
        if not copy.is_file():
            with self._one_error("be copied", sha256), self.open(sha256) as file:
                _write_local(file, copy, sha256)
        return copy

    @cached_property
    def _fs(self) -> Any:
        import fsspec  # a tenth of a second that listing runs need not pay

        try:
            return fsspec.core.url_to_fs(self.url)[0]
        except (ValueError, ImportError, OSError) as error:
            raise StoreError(f"SLIMCAST_ARTIFACT_URL={self.url} cannot be used: {error}") from error

    def _place(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise StoreError(f"{sha256[:80]!r} is no sha256 of an artifact.")
        root = str(self._local_root) if self._local_root is not None else self._fs._strip_protocol(self.url)
        return f"{root}/{sha256[:2]}/{sha256}"

    def _write_remote(self, source: Path | bytes, place: str, sha256: str) -> None:
        # Object stores show a file only once it is closed, so it may be written under its own name.
        self._fs.makedirs(self._fs._parent(place), exist_ok=True)
        with _open_source(source) as file, self._fs.open(place, "wb") as target:
            while block := file.read(_BLOCK_BYTES):
                target.write(block)
        if _hash(self._fs.open(place, "rb")) != sha256:
            self._fs.rm(place)
            raise StoreError(_changed(place))

    @contextmanager
    def _one_error(self, what: str, sha256: str = "") -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if not sha256:
                raise StoreError(f"An artifact could not {what}: {error}") from error
            raise StoreError(self._missing(sha256)) from error
        except OSError as error:
            raise StoreError(f"An artifact in {self.url} could not {what}: {error}") from error

    def _missing(self, sha256: str) -> str:
        return (
            f"Artifact {sha256} is not in {self.url}. Was the folder moved, or SLIMCAST_ARTIFACT_URL changed?"
        )


def _is_local(url: str) -> bool:
    return url.startswith("file://") or "://" not in url


def _open_source(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _hash(file: BinaryIO) -> str:
    with file:
        return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()


def _write_local(file: BinaryIO, place: Path, sha256: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name[:16]}.{secrets.token_hex(6)}")
    try:
        with file, temporary.open("wb") as target:
            while block := file.read(_BLOCK_BYTES):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if _hash(temporary.open("rb")) != sha256:
            raise StoreError(_changed(str(place)))
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _changed(place: str) -> str:
    return (
        f"What was written to {place} is not what was to be stored: the source changed meanwhile, "
        "or the disk fails. Nothing was kept; try again."
    )

"""An artifact that arrives in chunks. What has arrived survives a restart."""

import contextlib
import hashlib
import os
import threading
from pathlib import Path

from slimcast_edge.durable import sync_folder
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.wire import WINDOW_CHUNKS, ArtifactRef

_SPARE_BYTES = 16 << 20


class Download:
    """The file under construction and the map of the chunks that it has. Chunks come from another thread.

    A byte of the map stands for a chunk; it is written behind the chunk itself, so after a kill it never
    claims more than there is. After a power cut it may: the hash finds that out.
    """

    def __init__(self, folder: Path, ref: ArtifactRef) -> None:
        self.ref = ref
        self._part = folder / f"{ref.sha256}.part"
        self._map = folder / f"{ref.sha256}.{ref.chunk_bytes}.map"
        self._changed = threading.Condition()
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o600)
        self._map_file = os.open(self._map, os.O_RDWR | os.O_CREAT, 0o600)
        known = os.pread(self._map_file, ref.chunks, 0)
        fits = os.fstat(self._file).st_size == ref.size_bytes and len(known) == ref.chunks
        self._have = bytearray(known if fits else bytes(ref.chunks))
        if not fits:
            os.ftruncate(self._map_file, 0)
            os.ftruncate(self._file, 0)
            os.posix_fallocate(self._file, 0, ref.size_bytes)  # a full disk shows here, not in the middle
            os.pwrite(self._map_file, bytes(ref.chunks), 0)
        self.resumed = any(self._have)
        self._missing = self._have.count(0)
        self._closed = False
        self.problem: OSError | None = None

    @property
    def progress(self) -> float:
        """Share of the chunks that are there."""
        return 1 - self._missing / self.ref.chunks

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        return self._missing == 0

    def missing(self, limit: int = WINDOW_CHUNKS) -> list[int]:
        """Return the first chunks that are not there."""
        found: list[int] = []
        at = self._have.find(0)
        while at >= 0 and len(found) < limit:
            found.append(at)
            at = self._have.find(0, at + 1)
        return found

    def add(self, number: int, data: bytes) -> bool:
        """Write a chunk; False where it is none of this artifact's, or there already, or cannot be written.

        `problem` says why it cannot: chunks come from a thread that could do nothing about it.
        """
        ref = self.ref
        with self._changed:
            if self._closed or number >= ref.chunks or self._have[number]:
                return False
            start = number * ref.chunk_bytes
            if len(data) != min(ref.chunk_bytes, ref.size_bytes - start):
                return False
            try:
                _write_at(self._file, data, start)
                _write_at(self._map_file, b"\1", number)
            except OSError as error:
                self.problem = error
                self._changed.notify_all()
                return False
            self._have[number] = 1
            self._missing -= 1
            self._changed.notify_all()
            return True

    def wait_below(self, missing: int, timeout: float) -> bool:
        """Wait until fewer chunks than this are missing; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._missing < missing or self._closed or self.problem is not None, timeout
            )

    @property
    def missing_count(self) -> int:
        """How many chunks are not there."""
        return self._missing

    def finish(self, target: Path) -> None:
        """Check the whole file's hash and put it into its place.

        Raises:
            ArtifactError: these are other bytes than the order named. They are deleted.

        """
        if hash_file(self._part) != self.ref.sha256:
            self.discard()
            raise ArtifactError(
                Refusal.WRONG_HASH,
                f"What was received for {self.ref.name!r} does not have the sha256 it should have.",
            )
        os.fsync(self._file)
        self.close()
        self._part.replace(target)
        sync_folder(target.parent)
        self._map.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw away what has arrived."""
        self.close()
        self._part.unlink(missing_ok=True)
        self._map.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files; what has arrived stays."""
        with self._changed:
            if not self._closed:
                self._closed = True
                os.close(self._file)
                os.close(self._map_file)
            self._changed.notify_all()


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it: a disk that becomes full writes a part and says so only at the next call."""
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def check_room(folder: Path, size_bytes: int) -> None:
    """Refuse an artifact that the disk cannot take.

    Raises:
        ArtifactError: there is too little room.

    """
    stat = os.statvfs(folder)
    free = stat.f_bavail * stat.f_frsize
    if free < size_bytes + _SPARE_BYTES:
        raise ArtifactError(
            Refusal.NO_SPACE,
            f"The artifact needs {size_bytes / 1e6:.1f} MB, and {_SPARE_BYTES / 1e6:.1f} MB must stay free; "
            f"only {free / 1e6:.1f} MB are free here. Make room on the device's disk, then publish again.",
        )


def hash_file(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forget_others(folder: Path, sha256: str) -> None:
    """Delete what is left of downloads of other artifacts."""
    for path in folder.iterdir():
        if not path.name.startswith(sha256):
            with contextlib.suppress(OSError):
                path.unlink()

"""Files that are replaced as a whole: a reader finds the old content or the new one, never a part."""

import contextlib
import os
import secrets
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file by another content: whole or not at all, and on the disk when this returns.

    Args:
        path: of the file; its folder must be there.
        content: of the file.
        mode: who may read it, whatever the umask; nobody else ever may, not even while it is written.

    Raises:
        OSError: it cannot be written; the file stays as it was, and nothing is left beside it.
    """
    _replace(path, content, mode, durably=True)
    sync_folder(path.parent)


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file as `write_durably` does, but without waiting for the disk: for what can be made again.

    Raises:
        OSError: it cannot be written; the file stays as it was, and nothing is left beside it.
    """
    _replace(path, content, mode, durably=False)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes, mode: int, *, durably: bool) -> None:
    # A name of its own: two processes that write the same file at once do not write into one draft.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with contextlib.suppress(PermissionError):  # a file system without modes
                os.fchmod(descriptor, mode)
            file.write(content)
            if durably:
                file.flush()
                os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

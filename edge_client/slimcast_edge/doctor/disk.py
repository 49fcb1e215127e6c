"""Whether models and their state can be kept."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.settings import EdgeSettings

MIN_FREE_MB = 200.0
"""The two models that are kept, and one on its way, in the sizes that are usual."""

_MAKE_ROOM = (
    "Delete what is not needed (sudo apt clean; sudo journalctl --vacuum-size=50M), or use a larger card."
)


def check_disk(settings: EdgeSettings) -> Finding:
    """Check that the state folder can be written, belongs to one user, and has room."""
    folder = settings.state_folder.expanduser()
    there = _nearest(folder)
    if not there.is_dir():
        return bad("disk", f"{there} is no folder.", "Name another `state_folder` in the settings.")
    problem = _not_writable(folder) if there == folder else _not_creatable(folder, there)
    if problem is not None:
        return problem
    free_mb = shutil.disk_usage(there).free / 1e6
    if free_mb < MIN_FREE_MB:
        return bad(
            "disk",
            f"Only {free_mb:.0f} MB are free in {there}; a new model may need {MIN_FREE_MB:.0f} MB.",
            _MAKE_ROOM,
        )
    return good("disk", f"{folder}: writable, {free_mb / 1000:.1f} GB free")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    for path in (folder, *folder.parents):
        if path.exists():
            return path
    return Path("/")


def _not_creatable(folder: Path, parent: Path) -> Finding | None:
    if os.access(parent, os.W_OK | os.X_OK):
        return None
    return bad(
        "disk",
        f"{folder} is not there, and this user may not make it in {parent}.",
        f"sudo install -d -o $(id -un) {folder}",
    )


def _not_writable(folder: Path) -> Finding | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        how = (
            "Run this as the client's user (sudo -u slimcast ...), or give it the folder: sudo chown -R "
            f"slimcast {folder}"
        )
        if error.errno == errno.EROFS:
            how = "A card that becomes read-only by itself is often failing: look at dmesg, and replace it."
        if error.errno == errno.ENOSPC:
            how = _MAKE_ROOM
        return bad("disk", f"Cannot write to {folder}: {error.strerror or error}.", how)
    owner = folder.stat().st_uid
    strangers = [path for path in sorted(folder.rglob("*")) if path.lstat().st_uid != owner]
    if strangers:
        return bad(
            "disk",
            f"{strangers[0]} belongs to another user than {folder}.",
            f"Was the client started by root once? sudo chown -R --reference={folder} {folder}",
        )
    return None

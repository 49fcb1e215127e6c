"""Whether a client runs on this device already."""

import os
from pathlib import Path

_NAMES = (b"slimcast-edge", b"slimcast_edge")


def running_client(proc: Path = Path("/proc")) -> int | None:
    """Return the process number of a client that runs, other than this process; None where there is none."""
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:  # it has ended, or belongs to somebody else
            continue
        number = int(path.parent.name)
        is_ours = any(Path(os.fsdecode(argument)).name.encode() in _NAMES for argument in arguments[:3])
        if number != os.getpid() and is_ours and b"run" in arguments[1:4]:
            return number
    return None

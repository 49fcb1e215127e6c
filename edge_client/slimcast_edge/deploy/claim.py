"""One client at a time: two that write the same state folder would take each other's models away."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from slimcast_edge.errors import AlreadyRunning

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


class Claim:
    """Holds a state folder for this process. The kernel lets go of it however the process ends.

    The folder itself is locked and no file in it, so that it works on a card that has become read-only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def take(self) -> None:
        """Claim the folder.

        Raises:
            AlreadyRunning: another process has claimed it.

        """
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in _TAKEN:
                return  # a file system without locks (some network shares): nothing can be claimed there
            raise AlreadyRunning(
                f"Another client runs with the state folder {self._folder}. Stop that one first (the "
                "service: sudo systemctl stop slimcast-edge), or give this one its own `device` and "
                "`state_folder`."
            ) from error
        self._handle = handle

    def release(self) -> None:
        """Let go of the folder; may be called again."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None

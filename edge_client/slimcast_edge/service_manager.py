"""Tells systemd how the client is, over the datagram socket that it names (sd_notify(3))."""

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The service manager above this process; does nothing where there is none.

    Attributes:
        watchdog_s: silence after which it ends this process, s; None: it does not watch.

    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is one of Linux's abstract sockets.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self.watchdog_s = _watchdog_s(environment)

    def notify(self, *states: str) -> None:
        """Send states, such as ``READY=1``; never waits and never fails: what cannot be sent is lost."""
        if not self._address:
            return
        message = "\n".join(state.replace("\n", " ") for state in states).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(message, self._address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Read the watchdog's time, unless it is meant for another process."""
    try:
        microseconds = int(environment["WATCHDOG_USEC"])
        is_ours = int(environment.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except (KeyError, ValueError):
        return None
    return microseconds / 1e6 if is_ours and microseconds > 0 else None

"""Whether the process of a run is still there, however long it has been silent."""

import os
import socket

import psutil

from slimcast.records import Run, Search

_CLOCK_SLACK_S = 2.0


def worker_name() -> str:
    """Return what this process claims a run as: its host and its number there."""
    return f"{socket.gethostname()}:{os.getpid()}"


def process_is_alive(run: Run | Search) -> bool:
    """Return whether the process that claimed it lives on this machine; False where nobody can tell.

    An overloaded machine keeps a process from its heartbeat for longer than any limit that would be useful.
    """
    host, _, number = run.worker.rpartition(":")
    if host != socket.gethostname() or not number.isdecimal() or run.started_at is None:
        return False
    try:
        process = psutil.Process(int(number))
        # A later process may have got the number, after a restart of the machine or of a container.
        is_it = process.create_time() <= run.started_at + _CLOCK_SLACK_S
        return is_it and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

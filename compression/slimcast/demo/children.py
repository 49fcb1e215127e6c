"""The demo's child processes: started, watched, and all of them stopped at the end."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slimcast.errors import FleetError

STOP_TIMEOUT_S = 10.0


class Children:
    """Processes by name; each one's output goes into a file of its own."""

    def __init__(self, logs_folder: Path) -> None:
        self._logs_folder = logs_folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a process, with these variables on top of our own."""
        self._logs_folder.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then stops its children in order.
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    def check(self) -> None:
        """Make sure that all are running.

        Raises:
            FleetError: one has ended; with its last words.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                said = self._last_line(name) or "it said nothing"
                raise FleetError(
                    f"The {name} ended with code {process.returncode}: {said} (log: {self._log(name)})"
                )

    def stop(self) -> None:
        """Stop all, the last one first."""
        for process in reversed(self._running.values()):
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            _signal(process, signal.SIGKILL)  # and whatever it has left behind
            process.wait()
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._logs_folder / f"demo-{name.replace(' ', '-')}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, and nothing of its group is left

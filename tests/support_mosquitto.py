"""A real Mosquitto for tests: on a free port, killed and started again as the test wants it."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from slimcast.ports import free_port
from support_wait import wait_for

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker process; skips the test where Mosquitto is not installed."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        if MOSQUITTO is None:
            pytest.skip("needs Mosquitto: apt-get install mosquitto")
        self.port = port or free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens, "Mosquitto to listen")

    def stop(self) -> None:
        """Kill it: its clients hear nothing of it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

"""The embedded MQTT broker: amqtt on 127.0.0.1, in a process of its own that is restarted when it dies.

For a lab with several machines, point ``SLIMCAST_BROKER_URL`` at Mosquitto or another real broker instead.
"""

import logging
import subprocess
import sys
import threading
import time
from typing import IO

from slimcast import embedded_broker
from slimcast.embedded_broker import HOST, PORT_TAKEN
from slimcast.errors import FleetError
from slimcast.fleet.admission import embedded_users
from slimcast.settings import Settings
from slimcast_edge.wire import client_id

START_TIMEOUT_S = 60.0
MAX_RESTART_DELAY_S = 10.0
HEALTHY_AFTER_S = 30.0
_log = logging.getLogger(__name__)


class EmbeddedBroker:
    """Starts, watches and stops the broker's process."""

    def __init__(self, settings: Settings) -> None:
        self._port = settings.broker_port
        self._doorkeeper = (str(embedded_users(settings).path), client_id(settings.site, ""))
        self._log_file = settings.logs_folder / "broker.log"
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process that serves now, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            FleetError: the port is taken, or the broker does not come up.
        """
        if self._supervisor is not None:
            raise FleetError("The embedded broker has been started already.")
        self._stopping.clear()
        self._spawn()
        self._supervisor = threading.Thread(target=self._supervise, name="broker-supervisor", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """End it; a second call does nothing."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            _end(process)
        if self._supervisor is not None:
            self._supervisor.join(timeout=10)
            self._supervisor = None

    def _spawn(self) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._log_file.open("w", encoding="utf-8") as log:
            if self._stopping.is_set():
                return
            process = subprocess.Popen(
                # -P keeps the current folder's files from standing in for other people's modules.
                [sys.executable, "-P", "-m", embedded_broker.__name__, str(self._port), *self._doorkeeper],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            self._process = process
        answer = _first_line(process)
        if answer == "ready":
            return
        _end(process)
        if self._stopping.is_set():
            return
        if process.returncode == PORT_TAKEN:
            raise FleetError(
                f"Port {self._port} on {HOST} is in use, so the embedded MQTT broker cannot start. Choose "
                "another with SLIMCAST_BROKER_PORT, or use the broker that is there with "
                f"SLIMCAST_BROKER_URL={self.url}"
            )
        raise FleetError(
            f"The embedded MQTT broker did not start on port {self._port}"
            f"{f' ({answer})' if answer else ''}. Its log is {self._log_file}."
        )

    def _supervise(self) -> None:
        delay_s, started_at = 0.2, time.monotonic()
        while not self._stopping.is_set():
            process = self._process
            if process is not None:
                code = process.wait()
                _close_pipes(process)
                if self._stopping.is_set():
                    return
                _log.warning("The embedded MQTT broker ended (exit code %s); starting it again.", code)
            if time.monotonic() - started_at > HEALTHY_AFTER_S:
                delay_s = 0.2
            if self._stopping.wait(delay_s):
                return
            delay_s, started_at = min(2 * delay_s, MAX_RESTART_DELAY_S), time.monotonic()
            try:
                self._spawn()
            except FleetError as error:
                _log.error("%s Trying again in %.1f s.", error, delay_s)


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return what the process says first; empty when it ends or stays silent."""
    stdout = process.stdout
    assert stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stdout.readline().strip()), daemon=True)
    reader.start()
    reader.join(timeout=START_TIMEOUT_S)
    return lines[0] if lines else ""


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_pipes(process)


def _close_pipes(process: subprocess.Popen[str]) -> None:
    pipes: tuple[IO[str] | None, ...] = (process.stdin, process.stdout)
    for pipe in pipes:
        if pipe is not None and not pipe.closed:
            pipe.close()

"""A studio with a hub, a store and a broker in a temporary folder, and clients in processes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from slimcast.fleet import EmbeddedBroker, FleetHub
from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.signing import public_key_to_text
from support_mosquitto import MOSQUITTO, Mosquitto

BROKERS = ("embedded", *(("mosquitto",) if MOSQUITTO else ()))


@dataclass(frozen=True)
class Meeting:
    """What a client needs to find its studio: broker, pinned key, and a folder for its files."""

    broker: str
    key: str
    folder: Path


@dataclass(frozen=True)
class Studio:
    """What a benchmark works with."""

    settings: Settings
    store: Store
    hub: FleetHub
    broker: EmbeddedBroker | Mosquitto
    folder: Path

    @property
    def meeting(self) -> "Meeting":
        """Where its clients meet it."""
        key = public_key_to_text(self.hub.public_key)
        return Meeting(self.settings.effective_broker_url, key, self.folder)


@contextmanager
def studio(broker: str) -> Iterator[Studio]:
    """Start broker, store and hub; stop them in the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slimcast-bench-")))
        settings = Settings.from_environment(
            {"SLIMCAST_HOME": str(folder / "home"), "SLIMCAST_BROKER_PORT": str(free_port())}
        )
        server = (
            Mosquitto(folder, settings.broker_port) if broker == "mosquitto" else EmbeddedBroker(settings)
        )
        server.start()
        stack.callback(server.stop)
        store = Store.open(settings)
        stack.callback(store.close)
        hub = FleetHub(settings, store)
        hub.start()
        stack.callback(hub.stop)
        hub.wait_connected(20)
        yield Studio(settings, store, hub, server, folder)


@contextmanager
def clients(meeting: Meeting, count: int, processes: int, **options) -> Iterator[list[subprocess.Popen]]:
    """Start `count` real clients in so many processes, several as threads of one; see fleetclients.py."""
    running = []
    try:
        for index in range(processes):
            names = [f"cam{number:03d}" for number in range(index, count, processes)]
            request = options | {
                "names": names,
                "broker": meeting.broker,
                "key": meeting.key,
                "folder": str(meeting.folder / f"clients-{index}"),
            }
            log = (meeting.folder / f"clients-{index}.log").open("w")
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fleetclients.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            running.append(process)
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def finish(processes: list[subprocess.Popen]) -> dict[str, dict]:
    """Ask the clients to stop, and return what each has counted, by name."""
    counted: dict[str, dict] = {}
    for process in processes:
        process.stdin.write("stop\n")
        process.stdin.flush()
    for process in processes:
        counted |= json.loads(process.stdout.readline())
    return counted

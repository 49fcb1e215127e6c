"""What arrives over MQTT, and whose affair it is."""

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimcast_edge.client.commands import Benchmark, take_snapshot
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.host import ClientHost
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.namesake import Namesake
from slimcast_edge.client.outbox import Outbox
from slimcast_edge.deploy.state import StateFolder
from slimcast_edge.errors import WireError
from slimcast_edge.wire import Address, Command, Reply, ViewLease, decode

if TYPE_CHECKING:
    from slimcast_edge.client.comparing import Comparing
    from slimcast_edge.deploy.machine import Machine
    from slimcast_edge.measuring.desk import Measuring

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Desks:
    """Who takes care of what arrives. `namesake`: reads what the broker says of this device."""

    engine: Engine
    outbox: Outbox
    leases: Leases
    host: ClientHost
    benchmark: Benchmark
    folder: StateFolder
    namesake: Namesake


class Dispatch:
    """Hands messages on; what is malformed is counted and dropped. It belongs to the connection's worker.

    Attributes:
        machine, measuring, comparing: None until the client has started them.

    """

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self.machine: Machine | None = None
        self.measuring: Measuring | None = None
        self.comparing: Comparing | None = None
        self.counters: Counter[str] = Counter()

    def open(self, machine: "Machine", measuring: "Measuring", comparing: "Comparing") -> None:
        """Take orders from now on."""
        self.machine, self.measuring, self.comparing = machine, measuring, comparing

    def on_message(self, address: Address, payload: bytes) -> None:
        """Take a message."""
        try:
            self._hand_on(address, payload)
        except WireError as error:
            logger.warning("Dropped a message: %s", error)
            self.counters["dropped_malformed"] += 1

    def _hand_on(self, address: Address, payload: bytes) -> None:
        if address.suffix == "blob" and len(address.tail) < 9:
            self._chunk(address.device, int(address.tail), payload)
        elif address.suffix == "cmd/compare":
            if self.comparing is not None:
                self.comparing.order(payload)
        elif address.suffix == "cmd/measure":
            if self.measuring is not None:
                self.measuring.order(payload)
        elif address.suffix == "desired" and self.machine is not None:
            if payload:  # an empty one means that the studio has taken its order back
                self.machine.order(payload)
        elif address.suffix == "status":
            self._desks.namesake.heard(payload)
        elif address.suffix == "cmd/view":
            self._watched(decode(ViewLease, address.suffix, payload))
        elif address.suffix.startswith("cmd/"):
            self._command(address.suffix.removeprefix("cmd/"), decode(Command, address.suffix, payload))

    def _chunk(self, sha256: str, number: int, data: bytes) -> None:
        desks = [desk for desk in (self.measuring, self.comparing) if desk is not None]
        if self.machine is not None and not any(desk.chunk(sha256, number, data) for desk in desks):
            self.machine.chunk(sha256, number, data)

    @property
    def threads(self) -> list[threading.Thread]:
        """What may still tidy up once all desks are told to stop."""
        thread = self.comparing.thread if self.comparing is not None else None
        return [thread] if thread is not None else []

    def make_way(self) -> None:
        """Let a new model have the device for itself."""
        for desk in (self.measuring, self.comparing):
            if desk is not None:
                desk.interrupt()

    def _watched(self, lease: ViewLease) -> None:
        if not lease.camera or lease.camera in self._desks.outbox.streams:
            self._desks.leases.renew(lease)

    def _command(self, name: str, command: Command) -> None:
        desks, current = self._desks, self._desks.engine.current
        if name == "benchmark":
            path = desks.folder.model_path(current.entry.sha256) if current else None
            desks.benchmark.start(command, path, desks.host.answer)
        elif name == "snapshot":
            take_snapshot(command, desks.outbox, desks.host.answer, has_model=current is not None)
        elif name == "rollback" and self.machine is not None:
            self.machine.roll_back(
                lambda error: desks.host.answer(Reply(id=command.id, ok=not error, error=error))
            )

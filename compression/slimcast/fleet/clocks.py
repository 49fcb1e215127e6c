"""Devices that measure for a run: each answer is a signed order, a download and a reply."""

import hashlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from slimcast.errors import FleetError
from slimcast.fleet.measuring import Assignment
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.bench import LayerTime
from slimcast_edge.wire import About, Measured

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 8.0
HEARD_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 300.0
MODEL_S = 1.0
RETRY_AFTER_S = (5.0, 20.0, 60.0)
"""A run of hours must not end since a device was away for a minute."""


class FleetClock:
    """Implements `slimcast.measure.clock.DeviceClock`. The camera is paused while something is measured."""

    def __init__(
        self,
        device: str,
        about: About,
        measure: Callable[[str, Assignment, float], Measured],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.machine = f"device {device}: {about.machine}"
        self.runtime = about.runtime_version
        self.threads = about.threads
        self.disturbed = False
        self._device, self._measure, self._sleep = device, measure, sleep

    def layer(self, graph: bytes, *, beside_bytes: int) -> LayerTime:
        """Time one layer."""
        [found] = self._ask(Assignment(layers=(graph,), beside_bytes=beside_bytes, pause=True)).layers
        return LayerTime(ms=found.ms, runs=found.runs)

    def model_ms(self, artifact: bytes, name: str) -> float:
        """Return the median latency of a whole network, ms."""
        sha256 = hashlib.sha256(artifact).hexdigest()
        what = Assignment(models=((sha256, name),), contents={sha256: artifact}, seconds=MODEL_S, pause=True)
        [found] = self._ask(what).models
        return found.p50_ms

    def _ask(self, what: Assignment) -> Measured:
        measured = self._patiently(what)
        machine = f"device {self._device}: {measured.machine}"
        if (machine, measured.runtime, measured.threads) != (self.machine, self.runtime, self.threads):
            raise FleetError(
                f"{self._device} has changed since the run began: it was {self.machine} with {self.runtime}, "
                f"{self.threads} threads. Resume the run to measure anew."
            )
        self.disturbed = measured.busy
        return measured

    def _patiently(self, what: Assignment) -> Measured:
        for wait_s in RETRY_AFTER_S:
            try:
                return self._measure(self._device, what, ANSWER_TIMEOUT_S)
            except FleetError as error:
                _log.warning("%s Trying again in %.0f s.", error, wait_s)
                self._sleep(wait_s)
        return self._measure(self._device, what, ANSWER_TIMEOUT_S)


class DeviceClocks:
    """Finds devices by name; as a context manager. It connects when the first one is asked for."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._hub: FleetHub | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._hub is not None:
            self._hub.stop()

    def __call__(self, device: str) -> FleetClock:
        """Return a device that is online.

        Raises:
            FleetError: no broker, no such device, or its client is too old to measure.

        """
        hub = self._connected()
        deadline = time.monotonic() + HEARD_TIMEOUT_S
        while not self._is_heard(hub, device) and time.monotonic() < deadline:
            time.sleep(0.05)
        about = hub.device(device).about
        if about is None or not about.machine:
            raise FleetError(
                f"{device} does not say what it is. Update its client, and see that it is online."
            )
        return FleetClock(device, about, hub.measure)

    def _connected(self) -> "FleetHub":
        if self._hub is None:
            from slimcast.fleet.hub import FleetHub

            self._hub = FleetHub(self._settings, self._store)
            self._hub.start()
            self._hub.wait_connected(CONNECT_TIMEOUT_S)
        return self._hub

    @staticmethod
    def _is_heard(hub: "FleetHub", device: str) -> bool:
        return any(one.name == device and one.online and one.about is not None for one in hub.devices())

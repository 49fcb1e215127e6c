"""What comes over MQTT is checked here, once: what is wrong is counted, logged and dropped, never raised."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from slimcast_edge.errors import WireError
from slimcast_edge.frames import extract
from slimcast_edge.wire import TOPICS, Address, Payload, Result, decode

LOG_EVERY_S = 5.0
_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """Takes what has been checked. A `WireError` says that it does not fit after all."""

    def on_frame(self, address: Address, jpeg: bytes, result: Result) -> None:
        """Take a frame."""

    def on_snapshot(self, address: Address, jpeg: bytes, result: Result) -> None:
        """Take a picture that the device keeps."""

    def on_payload(self, address: Address, payload: Payload, data: bytes) -> None:
        """Take any other payload, and the bytes that it came as."""

    def on_cleared(self, address: Address) -> None:
        """Take note that a retained state was deleted."""


class Inbox:
    """Validates messages; counts ``received``, ``dropped_oversized``, ``dropped_malformed``, ``errors``."""

    def __init__(
        self,
        site: str,
        receiver: Receiver,
        counters: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site, self._receiver, self._counters, self._clock = site, receiver, counters, clock
        self._logged_at = float("-inf")

    def on_message(self, address: Address, data: bytes) -> None:
        """Check a message and pass it on."""
        info = TOPICS.get(address.suffix)
        if info is None or address.site != self._site:
            return
        self._counters["received"] += 1
        if len(data) > info.max_bytes:
            self._drop("dropped_oversized", f"{len(data)} bytes exceed {info.max_bytes}", address)
            return
        try:
            self._pass_on(address, data)
        except WireError as error:
            self._drop("dropped_malformed", str(error), address)
        except Exception:
            self._counters["errors"] += 1
            _log.exception("A message of %s on %r could not be handled.", address.device, address.suffix)

    def _pass_on(self, address: Address, data: bytes) -> None:
        info = TOPICS[address.suffix]
        if info.retained and not data:
            self._receiver.on_cleared(address)
        elif address.suffix in {"frame", "camera"}:
            result, jpeg = extract(data)
            if result.camera != address.tail:
                raise WireError(f"A frame of the camera {result.camera!r} came as one of {address.tail!r}.")
            self._receiver.on_frame(address, jpeg, result)
        elif address.suffix == "snapshot":
            result, jpeg = extract(data)
            self._receiver.on_snapshot(address, jpeg, result)
        elif info.payload is not None:
            self._receiver.on_payload(address, decode(info.payload, address.suffix, data), data)

    def _drop(self, counter: str, why: str, address: Address) -> None:
        self._counters[counter] += 1
        # A device gone wild must not fill the disk with log lines.
        now = self._clock()
        level = logging.WARNING if now - self._logged_at >= LOG_EVERY_S else logging.DEBUG
        _log.log(level, "Dropped a message of %s on %r: %s", address.device, address.suffix, why)
        if level == logging.WARNING:
            self._logged_at = now

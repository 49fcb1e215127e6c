"""What is known of every device: pure state, fed with validated payloads. No MQTT, no threads."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slimcast.fleet.records import Device
from slimcast_edge.errors import WireError
from slimcast_edge.wire import (
    About,
    Address,
    Desired,
    Event,
    Payload,
    Reported,
    Result,
    Status,
    Telemetry,
)

MAX_DEVICES = 1000
MAX_EVENTS = 20


class DeviceRegistry:
    """Devices by name. `clock` returns Unix time in seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._devices: dict[str, Device] = {}
        self._clock = clock

    def apply(self, address: Address, payload: Payload) -> Device | None:
        """Take in a payload and return the device as it is now; None when the payload is out of date.

        Raises:
            WireError: it contradicts its topic, or there are too many devices.
        """
        device = self._devices.get(address.device)
        if device is None:
            if len(self._devices) >= MAX_DEVICES:
                raise WireError(f"Device {address.device!r} is ignored: there are {MAX_DEVICES} already.")
            device = Device(name=address.device)
        changed = self._changed(device, payload)
        if changed is not None:
            self._devices[address.device] = changed
        return changed

    def clear(self, address: Address) -> None:
        """Forget a retained state that was deleted from the broker, and a device of which nothing is left."""
        device = self._devices.get(address.device)
        if device is None or address.suffix not in {"status", "about", "reported", "desired"}:
            return
        nothing: dict[str, Any] = {address.suffix: None}
        device = replace(device, **nothing)
        if any((device.status, device.about, device.reported, device.desired)):
            self._devices[device.name] = device
        else:
            del self._devices[device.name]

    def get(self, name: str) -> Device | None:
        """Return a device, None when it is unknown."""
        return self._devices.get(name)

    def all(self) -> list[Device]:
        """Return all devices, by name."""
        return sorted(self._devices.values(), key=lambda device: device.name)

    def _changed(self, device: Device, payload: Payload) -> Device | None:
        now = self._clock()
        match payload:
            case Status():
                return _with_status(device, payload, now)
            case Desired():
                return _with_desired(device, payload)
            case About():
                return replace(device, about=payload)
            case Reported():
                # Retained: it may be old, so its own time counts, unless the device's clock runs ahead.
                return replace(
                    device, reported=payload, last_seen=max(device.last_seen, min(now, payload.at))
                )
            case Telemetry():
                device = replace(device, telemetry=payload, clock_ahead_s=payload.at - now)
                return _alive(device, payload.session, now)
            case Result(late=True):
                return _alive(device, payload.session, now)
            case Result():
                return _alive(replace(device, last_result=payload), payload.session, now)
            case Event():
                device = replace(device, events=(*device.events, payload)[-MAX_EVENTS:])
                return _alive(device, payload.session, now)
        raise WireError(f"A {type(payload).__name__} says nothing about a device's state.")


def _with_status(device: Device, status: Status, now: float) -> Device | None:
    known = device.status
    if status.online:
        return replace(device, status=status, last_seen=now)
    # The broker publishes the will of a dead connection when it notices, which may be long after the device
    # has come back: only the session that is known can end.
    if known is not None and known.online and known.session != status.session:
        return None
    return replace(device, status=status, last_seen=max(device.last_seen, min(now, status.since)))


def _with_desired(device: Device, desired: Desired) -> Device | None:
    if desired.device != device.name:
        raise WireError(f"An order for {desired.device!r} came on the topic of {device.name!r}.")
    if device.desired is not None and desired.revision < device.desired.revision:
        return None
    return replace(device, desired=desired)


def _alive(device: Device, session: str, now: float) -> Device:
    """Note a sign of life. A session that was not said to have ended is online, whatever its will said."""
    status = device.status
    if status is not None and not status.online and status.session != session:
        status = Status(online=True, session=session, since=now)
    return replace(device, status=status, last_seen=now)

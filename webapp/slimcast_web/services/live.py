"""Frames for viewers: the newest of each camera, and never more than a few on their way."""

import json
import struct
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from slimcast.errors import FleetError
from slimcast.fleet.records import Device, FramePacket, split_source
from slimcast_edge.wire import CameraName, Name

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub

MAX_DEVICES = 64
MAX_WINDOW = 8
_NAMES: TypeAdapter[str] = TypeAdapter(Name)
_CAMERA_NAMES: TypeAdapter[str] = TypeAdapter(CameraName)


class Viewer:
    """One viewer's share of the frames. Thread-safe: the hub's thread fills it, the socket's task empties it.

    For each camera it keeps at most one waiting frame, the newest; and no frame goes out while `window` of
    that camera's frames are unacknowledged. So a viewer that stalls costs one frame a camera, and sees the
    present when it comes back.
    """

    def __init__(self, hub: "FleetHub", wake: Callable[[], None]) -> None:
        self.name = f"web-{uuid.uuid4().hex[:12]}"
        self.replaced = 0
        self._hub = hub
        self._wake = wake
        self._lock = Lock()
        self._changing = Lock()
        self._stops: dict[str, Callable[[], None]] = {}
        self._waiting: OrderedDict[str, FramePacket] = OrderedDict()
        self._unacknowledged: dict[str, int] = {}
        self._window = 0
        self._closed = False

    def want(self, cameras: Iterable[str], window: int = 0) -> None:
        """Watch exactly these cameras; `window` frames may be unacknowledged, 0 means any number.

        A camera is named by its device, or as ``device/camera`` where that has several.
        """
        with self._changing:
            if self._closed:
                return  # a call that was on its way in a thread when the tab closed
            self._change(list(dict.fromkeys(cameras))[:MAX_DEVICES], window)

    def acknowledge(self, camera: str) -> None:
        """Note that the viewer has drawn a frame of this camera."""
        with self._lock:
            left = self._unacknowledged.get(camera, 0)
            self._unacknowledged[camera] = max(0, left - 1)
        self._wake()

    def take(self) -> FramePacket | None:
        """Return the next frame that may go out, None when there is none; cameras take turns."""
        with self._lock:
            for name in self._waiting:
                if self._window and self._unacknowledged.get(name, 0) >= self._window:
                    continue
                if self._window:
                    self._unacknowledged[name] = self._unacknowledged.get(name, 0) + 1
                return self._waiting.pop(name)
        return None

    @property
    def waiting(self) -> int:
        """How many frames wait here: never more than one for each camera."""
        with self._lock:
            return len(self._waiting)

    def close(self) -> None:
        """Stop watching, for good."""
        with self._changing:
            self._change([], 0)
            self._closed = True

    def _change(self, wanted: list[str], window: int) -> None:
        with self._lock:
            self._window = max(0, min(window, MAX_WINDOW))
            gone = [self._stops.pop(name) for name in list(self._stops) if name not in wanted]
            for name in [name for name in self._waiting if name not in wanted]:
                del self._waiting[name]
            self._unacknowledged = {name: n for name, n in self._unacknowledged.items() if name in wanted}
            new = [name for name in wanted if name not in self._stops]
        for stop in gone:
            stop()
        for name in new:
            # Names come from browsers: only those that the hub knows become topics.
            found = find(self._hub, name)
            if found is None:
                continue  # the next call may find it
            stop = self._hub.watch(found[0].name, self.name, self._receive, found[1])
            with self._lock:
                self._stops[name] = stop

    def _receive(self, packet: FramePacket) -> None:
        with self._lock:
            # Its place in the queue stays, so that a fast camera does not starve a slow one.
            self.replaced += packet.source in self._waiting
            self._waiting[packet.source] = packet
        self._wake()


def find(hub: "FleetHub", name: str) -> tuple[Device, str] | None:
    """Return the device and the camera that a name means; None where there is no such camera."""
    device_name, camera = split_source(name)
    try:
        device = hub.device(device_name)
    except FleetError:
        return None
    return (device, camera) if name in device.sources else None


def expanded(hub: "FleetHub", names: Iterable[str]) -> list[str]:
    """Return the names of cameras; that of a device with several stands for all of them."""
    several = {device.name: device.sources for device in hub.devices() if device.cameras}
    return list(dict.fromkeys(one for name in names for one in several.get(name, (name,))))


def sources(hub: "FleetHub") -> list[str]:
    """Return the names of all cameras there are."""
    return [name for device in hub.devices() for name in device.sources]


def named(text: str) -> list[str]:
    """Return the cameras that an address names, such as ``cam1,gate/left``: what can be a name, each once."""
    names = dict.fromkeys(part for part in text.split(",") if _is_name(part))
    return list(names)[:MAX_DEVICES]


def _is_name(text: str) -> bool:
    device, slash, camera = text.partition("/")
    try:
        _NAMES.validate_python(device)
        if slash:
            _CAMERA_NAMES.validate_python(camera)
    except ValidationError:
        return False
    return device != "blob"  # the one level below a site that is no device


def pack(packet: FramePacket) -> bytes:
    """Return the message for one frame: length of the header (4 bytes, big-endian), header (JSON), JPEG."""
    header = json.dumps(
        {
            "device": packet.source,
            "result": packet.result.model_dump(mode="json"),
            "received_at": packet.received_at,
            "sent_at": time.time(),
        },
        separators=(",", ":"),
    ).encode()
    return struct.pack(">I", len(header)) + header + packet.jpeg


def device_states(hub: "FleetHub") -> list[dict[str, Any]]:
    """Return what the wall says of each camera beside its picture; `of`: its device."""
    return [_state(device, name) for device in hub.devices() for name in device.sources]


def _state(device: Device, name: str) -> dict[str, Any]:
    telemetry, reported = device.telemetry, device.reported
    own = telemetry.cameras.get(split_source(name)[1]) if telemetry else None
    fps = own.fps if own else telemetry.fps if telemetry else None
    return {
        "device": name,
        "of": device.name,
        "online": bool(device.online),
        "model": reported.active_name if reported else "",
        "state": reported.state.value if reported else "",
        "fps": round(fps, 1) if fps is not None else None,
        "latency_ms": round(telemetry.latency_p50_ms, 2) if telemetry else None,
        "trouble": own.trouble if own else "",
    }

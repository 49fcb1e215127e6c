"""Frozen records of the fleet: what is known of a device, and a frame that it has sent."""

from dataclasses import dataclass

from slimcast_edge.wire import About, Desired, Event, Reported, Result, Status, Telemetry

CLOCK_TOLERANCE_S = 60.0


def source_name(device: str, camera: str) -> str:
    """Return what people and addresses call a camera: ``device/camera``, or the device where it has one."""
    return f"{device}/{camera}" if camera else device


def split_source(name: str) -> tuple[str, str]:
    """Return (device, camera) of such a name; no device has a slash in its own."""
    device, _, camera = name.partition("/")
    return device, camera


@dataclass(frozen=True, kw_only=True)
class FramePacket:
    """One frame as it came.

    Attributes:
        jpeg: the plain JPEG as it came; its comment segment carries the result, and viewers skip that.
        received_at: Unix time at which the studio got it, s.
    """

    device: str
    jpeg: bytes
    result: Result
    received_at: float

    @property
    def source(self) -> str:
        """What it shows, by name: the device, or one of its cameras (see `source_name`)."""
        return source_name(self.device, self.result.camera)


@dataclass(frozen=True, kw_only=True)
class Device:
    """All that is known of one device; None where it has not said so.

    Attributes:
        desired: the newest order that a studio has given it.
        last_seen: Unix time of the last sign of life, s; 0 where there was none.
        last_result: its newest classification, from a frame or from ``result``.
        events: its newest events, oldest first.
        clock_ahead_s: how far its clock was ahead of the studio's at its last telemetry, s.
    """

    name: str
    status: Status | None = None
    about: About | None = None
    desired: Desired | None = None
    reported: Reported | None = None
    telemetry: Telemetry | None = None
    last_result: Result | None = None
    last_seen: float = 0.0
    events: tuple[Event, ...] = ()
    clock_ahead_s: float = 0.0

    @property
    def has_wrong_clock(self) -> bool:
        """Whether its times are of no use: it was powered off, and no time server has put it right."""
        return abs(self.clock_ahead_s) > CLOCK_TOLERANCE_S

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of its cameras; empty for a device with one, which needs none, or that has not said."""
        return tuple(camera.name for camera in self.about.cameras) if self.about is not None else ()

    @property
    def sources(self) -> tuple[str, ...]:
        """What can be watched of it, by name: itself where it has one camera, else each of them."""
        return tuple(source_name(self.name, camera) for camera in self.cameras) or (self.name,)

    @property
    def online(self) -> bool:
        """Return whether it is connected to the broker, as far as is known."""
        return self.status is not None and self.status.online

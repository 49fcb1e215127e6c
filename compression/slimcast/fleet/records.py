"""Frozen records of the fleet: what is known of a device, and a frame that it has sent."""

from dataclasses import dataclass

from slimcast_edge.wire import About, Desired, Event, Reported, Result, Status, Telemetry


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


@dataclass(frozen=True, kw_only=True)
class Device:
    """All that is known of one device; None where it has not said so.

    Attributes:
        desired: the newest order that a studio has given it.
        last_seen: Unix time of the last sign of life, s; 0 where there was none.
        last_result: its newest classification, from a frame or from ``result``.
        events: its newest events, oldest first.
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

    @property
    def online(self) -> bool:
        """Return whether it is connected to the broker, as far as is known."""
        return self.status is not None and self.status.online

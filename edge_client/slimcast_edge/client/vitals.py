"""How the client is, in one record: what systemd, Prometheus and Home Assistant are told."""

from dataclasses import dataclass

from slimcast_edge.wire import ArtifactRef, Prediction, Reported, Telemetry


@dataclass(frozen=True, kw_only=True)
class CameraVitals:
    """How one of several cameras is. `trouble`: why it gives no frames; `fps`: over the last interval."""

    name: str
    trouble: str
    best: Prediction | None
    fps: float
    frames: int
    dropped: int


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """The state of a client at one moment.

    Attributes:
        telemetry: of the last interval; None before the first has passed.
        best: what the last frame showed, of whichever camera.
        reported: where the deployment stands. offered: the artifact of the last order.
        latencies_ms: of the last frames. latency_sum_s: of all frames.
        reconnects: how often the connection to the broker was lost or refused.
        cameras: each by itself, where there are several; frames and latencies are of all together.

    """

    site: str
    device: str
    session: str
    telemetry: Telemetry | None
    best: Prediction | None
    reported: Reported | None
    offered: ArtifactRef | None
    latencies_ms: tuple[float, ...]
    latency_sum_s: float
    frames: int
    dropped: int
    connected: bool
    reconnects: int
    cameras: tuple[CameraVitals, ...] = ()

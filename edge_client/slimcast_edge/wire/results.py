"""What a device sees and how it fares: payloads that flow."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from slimcast_edge.wire.payload import MAX_CAMERAS, MAX_LABELS, CameraName, Payload, WhichCamera


class Prediction(Payload):
    """One class and its softmax probability."""

    label: str = Field(max_length=200)
    index: int = Field(ge=0)
    score: float = Field(ge=0, le=1)


class SecondAnswer(Payload):
    """What a second model said of the same frame, see `wire.commands.Compare`; fields as in `Result`."""

    artifact: str = Field(max_length=64)
    latency_ms: float = Field(ge=0)
    predictions: list[Prediction] = Field(max_length=10)


class Result(Payload):
    """``<device>/result``, and the comment segment of the JPEG in ``<device>/frame`` and the like.

    Attributes:
        frame: number of the frame of its camera since the client started; no gap means no lost frame.
        captured_at: Unix time of the exposure, s. classified_at: Unix time of the answer, s.
        latency_ms: preprocessing and inference.
        expected: the right label where the camera knows it (synthetic and folder cameras), else None.
        late: it was kept while the broker was away; newer ones may have come before it.
        second: the answer of the model that is compared; None while none is, and on frames that it skips.
        camera: which of the device's cameras it comes from; empty where the device has one.

    """

    session: str = Field(max_length=64)
    frame: int = Field(ge=0)
    captured_at: float = Field(ge=0)
    classified_at: float = Field(ge=0)
    latency_ms: float = Field(ge=0)
    artifact: str = Field(max_length=64)
    predictions: list[Prediction] = Field(max_length=10)
    expected: str | None = Field(default=None, max_length=200)
    late: bool = False
    second: SecondAnswer | None = None
    camera: WhichCamera = ""


class StreamReport(Payload):
    """How a device streams just now, over the last interval.

    Attributes:
        fps: frames sent a second, 0 while nobody watches.
        step: how far rate, quality and width are lowered for the link; 0: as ordered.
        max_fps, quality, width: what holds at that step.
        delay_ms: median time until a frame has left the device; None when none was sent.
        kept: results that wait to be sent late. lost: results that found no room there, since the start.

    """

    fps: float = Field(ge=0)
    step: int = Field(ge=0, le=100)
    max_fps: float = Field(ge=0)
    quality: int = Field(ge=0, le=100)
    width: int = Field(ge=0)
    delay_ms: float | None = Field(default=None, ge=0)
    kept: int = Field(default=0, ge=0)
    lost: int = Field(default=0, ge=0)


class CameraFigures(Payload):
    """How one of several cameras of a device is doing, over the last interval.

    Attributes:
        fps: frames classified a second. frames, dropped: since the client started.
        trouble: why there are no frames; empty while they come.
        stream: as of a device, without `kept` and `lost`, which count for all cameras together.

    """

    fps: float = Field(ge=0)
    frames: int = Field(ge=0)
    dropped: int = Field(ge=0)
    trouble: str = Field(default="", max_length=200)
    stream: StreamReport | None = None


class Telemetry(Payload):
    """``<device>/telemetry``: how the device is doing, over the last interval; all cameras together.

    Attributes:
        cameras: each by itself, where there are several; `stream` is None then.
        labels: how often each label came first. labels_other: how often the rarer ones did that had no room.

    """

    session: str = Field(max_length=64)
    at: float = Field(ge=0)
    uptime_s: float = Field(ge=0)
    fps: float = Field(ge=0)
    latency_p50_ms: float = Field(ge=0)
    latency_p90_ms: float = Field(ge=0)
    frames: int = Field(ge=0)
    dropped: int = Field(ge=0)
    rss_mb: float = Field(ge=0)
    temperature_c: float | None = None
    throttled: bool | None = None
    stream: StreamReport | None = None
    labels: dict[Annotated[str, Field(max_length=200)], Annotated[int, Field(ge=1)]] = Field(
        default={}, max_length=MAX_LABELS
    )
    labels_other: int = Field(default=0, ge=0)
    cameras: dict[CameraName, CameraFigures] = Field(default={}, max_length=MAX_CAMERAS)


class CameraSummary(Payload):
    """What one of several cameras of a device shows, as `Summary` says it of the only one."""

    label: str | None = Field(default=None, max_length=200)
    score_percent: float | None = Field(default=None, ge=0, le=100)
    fps: float = Field(default=0.0, ge=0)


class Summary(Payload):
    """``<device>/summary``: the device in a few words, for Home Assistant and the like, who hold no lease.

    Attributes:
        label: what the last frame showed, with `score_percent`; None before the first.
        model: name and beginning of the sha256 of the model that classifies. offered: of the last order.
        progress_percent: how much of the offered one has arrived, while it is being fetched.
        cameras: each by itself, where there are several.

    """

    session: str = Field(max_length=64)
    label: str | None = Field(default=None, max_length=200)
    score_percent: float | None = Field(default=None, ge=0, le=100)
    fps: float = Field(ge=0)
    latency_ms: float = Field(ge=0)
    temperature_c: float | None = None
    throttled: bool | None = None
    model: str = Field(max_length=220)
    offered: str = Field(max_length=220)
    updating: bool = False
    progress_percent: int | None = Field(default=None, ge=0, le=100)
    message: str = Field(default="", max_length=255)
    cameras: dict[CameraName, CameraSummary] = Field(default={}, max_length=MAX_CAMERAS)


class EventKind(StrEnum):
    """What can happen on a device that somebody may want to know."""

    SWAP_STARTED = "swap_started"
    SWAP_FINISHED = "swap_finished"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    ERROR = "error"


class Event(Payload):
    """``<device>/event``."""

    session: str = Field(max_length=64)
    at: float = Field(ge=0)
    kind: EventKind
    message: str = Field(default="", max_length=600)
    artifact: str = Field(default="", max_length=64)
    revision: int = Field(default=0, ge=0)

"""The wire protocol: topics, payloads and their limits. Reference: docs/protocol.md.

MQTT 3.1.1 is enough. Root ``slimcast/v1/<site>/``; the device stands at a fixed level, so that one ACL
pattern covers it. State is retained, commands never are. Payloads are JSON but for frames (JPEG) and chunks
(bytes).
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slimcast_edge.errors import WireError
from slimcast_edge.region import Region

CHUNK_BYTES = 128 * 1024
MAX_ARTIFACT_BYTES = 1 << 30
MAX_FRAME_BYTES = 900_000
MAX_STATE_BYTES = 4096
MAX_ANNOUNCEMENT_BYTES = 16_384
MAX_LAYERS = 64
"""Layers that one command may have timed: their figures fit into one reply."""
MAX_LABELS, MAX_LABEL_BYTES = 200, 2048
"""What the labels of one telemetry message may take, encoded; half of what the message may."""
WINDOW_CHUNKS = 8
"""How many chunks a device asks for at a time: 1 MiB, far below what a broker queues before it drops."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DeviceState(StrEnum):
    """Where the deployment of a device stands."""

    IDLE = "idle"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    WARMING = "warming"
    PROBATION = "probation"
    ACTIVE = "active"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"

    def is_settled(self) -> bool:
        """Return whether the device has done with the desired revision, one way or the other."""
        return self in {DeviceState.IDLE, DeviceState.ACTIVE, DeviceState.ROLLED_BACK, DeviceState.FAILED}


class Payload(BaseModel):
    """A JSON payload. Unknown fields are ignored, so that old devices and new studios get along."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def encode(self) -> bytes:
        """Return the bytes to publish."""
        return self.model_dump_json().encode()


class Status(Payload):
    """``<device>/status``, retained, and the will. A late will of an older session is told by `session`."""

    online: bool
    session: str = Field(max_length=64)
    since: float = Field(ge=0)


class About(Payload):
    """``<device>/about``, retained: what the device is."""

    session: str = Field(max_length=64)
    hardware: str = Field(max_length=200)
    os: str = Field(max_length=200)
    client: str = Field(max_length=50)
    python: str = Field(default="", max_length=50)
    camera: str = Field(max_length=50)
    runtime: str = Field(max_length=50)
    providers: list[Annotated[str, Field(max_length=80)]] = Field(default=[], max_length=20)
    threads: int = Field(ge=1, le=1024)
    key_fingerprint: str = Field(default="", max_length=64)
    machine: str = Field(default="", max_length=300)
    runtime_version: str = Field(default="", max_length=80)
    provider_reason: str = Field(default="", max_length=400)
    key_fingerprints: list[Annotated[str, Field(max_length=16)]] = Field(default=[], max_length=8)


class ArtifactRef(Payload):
    """An artifact as `desired` names it."""

    sha256: Sha256
    size_bytes: int = Field(ge=1, le=MAX_ARTIFACT_BYTES)
    chunk_bytes: int = Field(ge=1024, le=CHUNK_BYTES)
    name: str = Field(max_length=200)

    @property
    def chunks(self) -> int:
        """Number of chunks; the last may be short."""
        return -(-self.size_bytes // self.chunk_bytes)


class SnapshotRule(Payload):
    """When a device takes a picture by itself: when one of these classes appears.

    Attributes:
        classes: labels as the model gives them.
        min_score: what scores less has not been seen.
        absent_s: a class appears when it has not been seen for so many seconds.

    """

    classes: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(min_length=1, max_length=10)
    min_score: float = Field(default=0.6, gt=0, le=1)
    absent_s: float = Field(default=10.0, ge=1, le=86_400)


class StreamSettings(Payload):
    """How a device streams.

    Attributes:
        max_fps: frames a second at most. quality: of the JPEG, 1..95. width: in pixels, at most.
        always: frames and results flow although nobody watches.
        results: "always": results flow although nobody watches; frames still wait for a viewer.
        adapt: lower rate, quality and width while the link is slow.
        overlay: what is drawn onto streamed frames: "label", "score", "fps"; a word that the device does not
            know draws nothing.
        snapshots: when to take pictures; None: on request only.

    """

    max_fps: float = Field(default=30.0, gt=0, le=240)
    quality: int = Field(default=80, ge=1, le=95)
    width: int = Field(default=640, ge=16, le=4096)
    always: bool = False
    results: Literal["watched", "always"] = "watched"
    adapt: bool = True
    overlay: list[Annotated[str, Field(max_length=20)]] = Field(default=[], max_length=8)
    snapshots: SnapshotRule | None = None


class CameraView(Payload):
    """How a camera looks at the world; applied while it runs.

    Attributes:
        rotation: degrees, clockwise. mirror: left and right are swapped, after the rotation.
        region: part of the turned picture that is seen, (left, top, right, bottom) in shares of its sides.
        exposure_ms: time of exposure. gain: a factor (Raspberry Pi camera) or the driver's own number
            (webcam). Both None: automatic; with one given, the other stays where it is. Cameras that have no
            such thing ignore both.

    """

    rotation: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    region: Region | None = None
    exposure_ms: float | None = Field(default=None, gt=0, le=10_000)
    gain: float | None = Field(default=None, gt=0, le=1000)


class Desired(Payload):
    """``<device>/desired``, retained: what the studio wants of a device; signed as a whole (`signing`).

    Site and device stand in the payload so that the signature binds them: a broker cannot hand one device's
    orders to another. `revision` only grows, so that it cannot replay an older order either.

    Attributes:
        next_key: public key (base64) that the studio will sign with; the device pins it beside the others.
        retired_keys: fingerprints of keys that the studio no longer signs with; the device unpins them.
        camera: None: the camera looks as its own settings say.

    """

    site: Name
    device: Name
    revision: int = Field(ge=1, lt=2**53)
    artifact: ArtifactRef | None = None
    stream: StreamSettings = StreamSettings()
    next_key: str = Field(default="", max_length=64)
    retired_keys: list[Annotated[str, Field(max_length=16)]] = Field(default=[], max_length=4)
    camera: CameraView | None = None
    signature: str = Field(default="", max_length=200)


class Reported(Payload):
    """``<device>/reported``, retained: what the device has done about it."""

    session: str = Field(max_length=64)
    revision: int = Field(ge=0)
    state: DeviceState
    active: Sha256 | None = None
    active_name: str = Field(default="", max_length=200)
    previous: Sha256 | None = None
    previous_name: str = Field(default="", max_length=200)
    progress: float = Field(default=0.0, ge=0, le=1)
    reason: str = Field(default="", max_length=50)
    message: str = Field(default="", max_length=600)
    at: float = Field(ge=0)


class Want(Payload):
    """``<device>/want``: the chunks that a device lacks, a window of them."""

    artifact: Sha256
    chunk_bytes: int = Field(ge=1024, le=CHUNK_BYTES)
    chunks: list[Annotated[int, Field(ge=0, lt=2**24)]] = Field(min_length=1, max_length=64)


class Prediction(Payload):
    """One class and its softmax probability."""

    label: str = Field(max_length=200)
    index: int = Field(ge=0)
    score: float = Field(ge=0, le=1)


class Result(Payload):
    """``<device>/result``, and the comment segment of the JPEG in ``<device>/frame``.

    Attributes:
        frame: number of the frame since the client started; no gap means no lost frame.
        captured_at: Unix time of the exposure, s. classified_at: Unix time of the answer, s.
        latency_ms: preprocessing and inference.
        expected: the right label where the camera knows it (synthetic and folder cameras), else None.
        late: it was kept while the broker was away; newer ones may have come before it.

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


class Telemetry(Payload):
    """``<device>/telemetry``: how the device is doing, over the last interval.

    Attributes:
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


class Summary(Payload):
    """``<device>/summary``: the device in a few words, for Home Assistant and the like, who hold no lease.

    Attributes:
        label: what the last frame showed, with `score_percent`; None before the first.
        model: name and beginning of the sha256 of the model that classifies. offered: of the last order.
        progress_percent: how much of the offered one has arrived, while it is being fetched.

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


class ViewLease(Payload):
    """``<device>/cmd/view``: somebody watches; frames and results flow for `lease_s` seconds more."""

    viewer: str = Field(max_length=64)
    lease_s: float = Field(gt=0, le=60)
    frames: bool = True


class Command(Payload):
    """``<device>/cmd/<name>`` for all other commands; answered on ``<device>/reply/<id>``."""

    id: Name
    args: dict[str, Any] = {}


class Reply(Payload):
    """``<device>/reply/<id>``."""

    id: Name
    ok: bool
    result: dict[str, Any] = {}
    error: str = Field(default="", max_length=600)


class LayerBundle(Payload):
    """Single layers to time: a zip of graphs (`slimcast_edge.measuring.layers`), fetched like an artifact.

    Attributes:
        count: how many graphs it holds.
        beside_bytes: other memory that is read before each run, see `slimcast_edge.bench.measure_layer`.

    """

    artifact: ArtifactRef
    count: int = Field(ge=1, le=MAX_LAYERS)
    beside_bytes: int = Field(default=0, ge=0, le=64 << 20)


class Measure(Payload):
    """``<device>/cmd/measure``: measure models, or single layers; signed as a whole (`signing`).

    It names what a device is to fetch and execute, so it is bound to the studio's key as an order is, and to
    the device's session: neither another device nor a later start of this one can be handed it again.

    Attributes:
        models: artifacts, measured one after the other.
        seconds: how long each model is timed. threads: None: as many as the device's settings say.
        pause: whether the camera's frames go unclassified meanwhile.

    """

    id: Name
    site: Name
    device: Name
    session: str = Field(min_length=1, max_length=64)
    models: list[ArtifactRef] = Field(default=[], max_length=4)
    layers: LayerBundle | None = None
    seconds: float = Field(default=2.0, ge=0.05, le=60)
    threads: int | None = Field(default=None, ge=1, le=64)
    pause: bool = False
    signature: str = Field(default="", max_length=200)


class ModelFigures(Payload):
    """What a model took on a device: batch 1, in a process of its own.

    Attributes:
        std_ms: standard deviation over `runs` executions.
        peak_rss_mb: most memory that its process had resident, 10^6 bytes.
        throttled: whether the board said that it slowed itself down, before or after; None: it does not say.
        slowdown: median of the last quarter of the executions over that of the first.

    """

    sha256: Sha256
    provider: str = Field(max_length=80)
    p50_ms: float = Field(ge=0)
    p90_ms: float = Field(ge=0)
    p99_ms: float = Field(ge=0)
    mean_ms: float = Field(ge=0)
    std_ms: float = Field(ge=0)
    runs: int = Field(ge=1)
    slowdown: float = Field(default=1.0, ge=0)
    peak_rss_mb: float = Field(default=0.0, ge=0)
    temperature_before_c: float | None = None
    temperature_after_c: float | None = None
    throttled: bool | None = None


class LayerFigures(Payload):
    """Time of a layer's kernels, ms, see `slimcast_edge.bench.LayerTime`."""

    ms: float = Field(ge=0)
    runs: int = Field(ge=1)


class Measured(Payload):
    """The result in the reply to a `Measure`, with what the device is.

    Attributes:
        machine: such as ``Raspberry Pi 5 Model B, 4 cores, Linux aarch64``. runtime: name and version.
        busy: whether others computed on the device meanwhile: then the figures are too large.

    """

    machine: str = Field(max_length=300)
    runtime: str = Field(max_length=80)
    threads: int = Field(ge=1, le=1024)
    camera: Literal["paused", "running"]
    busy: bool = False
    models: list[ModelFigures] = Field(default=[], max_length=4)
    layers: list[LayerFigures] = Field(default=[], max_length=MAX_LAYERS)


Suffix = Literal[
    "status",
    "about",
    "desired",
    "reported",
    "want",
    "frame",
    "snapshot",
    "result",
    "telemetry",
    "summary",
    "event",
]


@dataclass(frozen=True, kw_only=True)
class TopicInfo:
    """One row of the protocol: topic below the device, payload, quality of service, size limit in bytes."""

    suffix: str
    payload: type[Payload] | None
    retained: bool
    qos: Literal[0, 1]
    max_bytes: int

    @property
    def from_studio(self) -> bool:
        """Whether the studio writes it; all else comes from devices. The broker's ACL is made from this."""
        return self.suffix in {"desired", "blob"} or self.suffix.startswith("cmd/")


TOPICS = {
    info.suffix: info
    for info in (
        TopicInfo(suffix="status", payload=Status, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="about", payload=About, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="desired", payload=Desired, retained=True, qos=1, max_bytes=2048),
        TopicInfo(suffix="reported", payload=Reported, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="want", payload=Want, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="frame", payload=None, retained=False, qos=0, max_bytes=MAX_FRAME_BYTES),
        TopicInfo(suffix="snapshot", payload=None, retained=False, qos=1, max_bytes=MAX_FRAME_BYTES),
        TopicInfo(suffix="result", payload=Result, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="telemetry", payload=Telemetry, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="summary", payload=Summary, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="event", payload=Event, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/view", payload=ViewLease, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/benchmark", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/measure", payload=Measure, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/snapshot", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/rollback", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="reply", payload=Reply, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="blob", payload=None, retained=False, qos=0, max_bytes=CHUNK_BYTES),
    )
}
"""Every topic. ``reply`` is followed by the command's id; ``blob`` stands below the site."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A topic taken apart. For chunks `device` is the artifact's sha256 and `tail` the chunk's number."""

    site: str
    device: str
    suffix: str
    tail: str = ""


def root(site: str) -> str:
    """Return the topic below which everything of a site lies.

    Raises:
        WireError: the site's name has a character that a topic or an ACL cannot carry.

    """
    return f"slimcast/v1/{_checked_name(site)}"


def topic(site: str, device: str, suffix: str, tail: str = "") -> str:
    """Return a device's topic, such as ``slimcast/v1/lab/cam1/status``; `tail` is the id of a reply."""
    if suffix not in TOPICS:
        raise WireError(f"No topic {suffix!r}. Known: {', '.join(TOPICS)}.")
    name = device if device == "+" else _checked_name(device)
    return f"{root(site)}/{name}/{suffix}" + (f"/{tail}" if tail else "")


def blob_topic(site: str, sha256: str, chunk: int | Literal["+"]) -> str:
    """Return the topic of one chunk of an artifact (``+`` for all of them)."""
    if not _SHA256.fullmatch(sha256):
        raise WireError(f"{sha256[:80]!r} is no sha256 in lower-case hexadecimal.")
    return f"{root(site)}/blob/{sha256}/{chunk}"


def parse_topic(text: str) -> Address:
    """Take a topic apart.

    Raises:
        WireError: it is none of ours.

    """
    parts = text.split("/")
    if len(parts) < 5 or parts[:2] != ["slimcast", "v1"]:
        raise WireError(f"{text[:200]!r} is no topic of ours.")
    site, device, suffix = parts[2], parts[3], "/".join(parts[4:])
    if device == "blob" and len(parts) == 6 and _SHA256.fullmatch(parts[4]) and parts[5].isdecimal():
        return Address(site=site, device=parts[4], suffix="blob", tail=parts[5])
    if parts[4] == "reply" and len(parts) == 6 and _NAME.fullmatch(parts[5]):
        return Address(site=site, device=device, suffix="reply", tail=parts[5])
    if suffix not in TOPICS or suffix in {"blob", "reply"} or not _NAME.fullmatch(device):
        raise WireError(f"{text[:200]!r} is no topic of ours.")
    return Address(site=site, device=device, suffix=suffix)


P = TypeVar("P", bound=Payload)


def decode(kind: type[P], suffix: str, data: bytes | bytearray) -> P:
    """Validate a payload that has arrived.

    Raises:
        WireError: too large, no JSON, or not what this topic carries.

    """
    check_size(suffix, data)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(
            f"Payload on {suffix!r} is invalid at {where or 'its root'}: {first['msg']}"
        ) from error


def check_size(suffix: str, data: bytes | bytearray) -> None:
    """Refuse a payload above its topic's limit.

    Raises:
        WireError: it is too large. A broker would disconnect the sender, again after every reconnect.

    """
    limit = TOPICS[suffix].max_bytes
    if len(data) > limit:
        raise WireError(f"A payload of {len(data)} bytes on {suffix!r} exceeds the limit of {limit} bytes.")


def canonical_json(document: dict[str, Any]) -> bytes:
    """Return the one byte string that a JSON document has: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _checked_name(name: str) -> str:
    # "blob" is the one level below a site that is no device.
    if not _NAME.fullmatch(name) or name == "blob":
        raise WireError(
            f"{name[:80]!r} cannot be a site or device: use 1 to 64 of the characters A-Z a-z 0-9 _ . - , "
            "a letter or digit first, and not the word 'blob'."
        )
    return name

"""What a device can be told to do at once, and its answers."""

from typing import Any, Literal

from pydantic import Field

from slimcast_edge.wire.payload import MAX_LAYERS, Name, Payload, Sha256, WhichCamera
from slimcast_edge.wire.state import ArtifactRef


class ViewLease(Payload):
    """``<device>/cmd/view``: somebody watches; frames and results flow for `lease_s` seconds more.

    Attributes:
        camera: which of the device's cameras; empty: all of them.

    """

    viewer: str = Field(max_length=64)
    lease_s: float = Field(gt=0, le=60)
    frames: bool = True
    camera: WhichCamera = ""


class Command(Payload):
    """``<device>/cmd/<name>`` for all other commands; answered on ``<device>/reply/<id>``."""

    id: Name
    args: dict[str, Any] = Field(default={})


class Reply(Payload):
    """``<device>/reply/<id>``."""

    id: Name
    ok: bool
    result: dict[str, Any] = Field(default={})
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


class Compare(Payload):
    """``<device>/cmd/compare``: let a second model answer the camera's frames too; signed as `Measure` is.

    It is sent again, with another `id`, to prolong it. The deployment never learns of it: the second model
    decides nothing, and is gone with the last lease.

    Attributes:
        comparison: the same in all orders that belong to one comparison.
        model: fetched unless the device has it.
        lease_s: for how long it holds, s; 0 ends it.

    """

    id: Name
    site: Name
    device: Name
    session: str = Field(min_length=1, max_length=64)
    comparison: Name
    model: ArtifactRef
    lease_s: float = Field(ge=0, le=60)
    signature: str = Field(default="", max_length=200)


class Compared(Payload):
    """The result in the reply to a `Compare`: how far the second model is; a refusal says that it has ended.

    Attributes:
        progress: share of the artifact that is there, while it is being fetched.
        latency_ms: of its trial, p50; None before.

    """

    state: Literal["fetching", "trying", "running"]
    progress: float = Field(default=0.0, ge=0, le=1)
    latency_ms: float | None = Field(default=None, ge=0)


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

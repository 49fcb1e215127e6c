"""What is wanted of a device, and what it is and has done: payloads of retained topics, and chunks wanted."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from slimcast_edge.region import Region
from slimcast_edge.wire.payload import (
    CHUNK_BYTES,
    MAX_ARTIFACT_BYTES,
    MAX_CAMERAS,
    CameraName,
    Name,
    Payload,
    Sha256,
)


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


class Status(Payload):
    """``<device>/status``, retained, and the will. A late will of an older session is told by `session`."""

    online: bool
    session: str = Field(max_length=64)
    since: float = Field(ge=0)


class CameraAbout(Payload):
    """One of several cameras of a device. `kind`: as its settings name it."""

    name: CameraName
    kind: str = Field(max_length=50)


class About(Payload):
    """``<device>/about``, retained: what the device is.

    Attributes:
        camera: kind of the camera, or the kinds, with commas between them.
        cameras: each camera, where there are several; empty for a device with one.

    """

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
    cameras: list[CameraAbout] = Field(default=[], max_length=MAX_CAMERAS)


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
        overlay: what is drawn onto streamed frames: "label", "score", "fps", "box" (what the model looks at);
            a word that the device does not know draws nothing.
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


class CameraOrder(Payload):
    """What is wanted of one of several cameras.

    Attributes:
        view: None: it looks as its own settings say. stream: None: it streams as the device does.

    """

    view: CameraView | None = None
    stream: StreamSettings | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it wants nothing."""
        return self.view is None and self.stream is None


class Desired(Payload):
    """``<device>/desired``, retained: what the studio wants of a device; signed as a whole (`signing`).

    Site and device stand in the payload so that the signature binds them: a broker cannot hand one device's
    orders to another. `revision` only grows, so that it cannot replay an older order either.

    Attributes:
        next_key: public key (base64) that the studio will sign with; the device pins it beside the others.
        retired_keys: fingerprints of keys that the studio no longer signs with; the device unpins them.
        camera: how the camera of a device with one looks; None: as its own settings say.
        cameras: the same for each of several, by its name; one that is not named has nothing ordered.

    """

    site: Name
    device: Name
    revision: int = Field(ge=1, lt=2**53)
    artifact: ArtifactRef | None = None
    stream: StreamSettings = StreamSettings()
    next_key: str = Field(default="", max_length=64)
    retired_keys: list[Annotated[str, Field(max_length=16)]] = Field(default=[], max_length=4)
    camera: CameraView | None = None
    cameras: dict[CameraName, CameraOrder] = Field(default={}, max_length=MAX_CAMERAS)
    signature: str = Field(default="", max_length=200)

    def view_of(self, camera: str) -> CameraView | None:
        """Return how a camera is to look, "" being the only one; None: as its own settings say."""
        if not camera:
            return self.camera
        return self.cameras[camera].view if camera in self.cameras else None

    def stream_of(self, camera: str) -> StreamSettings:
        """Return how a camera is to stream, "" being the only one."""
        own = self.cameras[camera].stream if camera in self.cameras else None
        return own or self.stream


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

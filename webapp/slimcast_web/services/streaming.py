"""How a device streams, as it was ordered and as it is; and the pictures that it has taken."""

import hashlib
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slimcast.errors import FleetError
from slimcast.fleet.records import Device, FramePacket, split_source
from slimcast_edge.errors import Refusal
from slimcast_edge.wire import CameraView, DeviceState, StreamReport, StreamSettings
from slimcast_web.services import figures
from slimcast_web.services.fleet import COMMAND_TIMEOUT_S
from slimcast_web.services.studio import Studio

FETCHED = 6
"""How many of the pictures that a device has kept are fetched at a time."""

ARRIVAL_S = 10.0
"""How long a picture may take to come after its device has said that it took one."""

_NOT_OBEYED = (Refusal.WRONG_SIGNATURE, Refusal.OLDER_REVISION)


class Standing(StrEnum):
    """How an order stands at its device."""

    WAITING = "waiting"
    IN_FORCE = "in_force"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture that a device has taken.

    Attributes:
        name: of its file, for a download.
        camera: which of several cameras took it; empty for the only one.
        taken_at: Unix time, s.

    """

    id: str
    camera: str
    name: str
    taken_at: float
    label: str
    jpeg: bytes


def ordered(device: Device, camera: str = "") -> StreamSettings:
    """Return how a device, or one of its cameras, was told to stream; the defaults where it was not."""
    return device.desired.stream_of(camera) if device.desired is not None else StreamSettings()


def has_own_stream(device: Device, camera: str) -> bool:
    """Return whether a camera was told to stream in another way than its device."""
    order = device.desired.cameras.get(camera) if device.desired is not None else None
    return order is not None and order.stream is not None


def order(studio: Studio, device: str, stream: StreamSettings | None, camera: str = "") -> int:
    """Order a device, or one of its cameras, to stream in another way; return the order's revision.

    None: the camera is to stream as its device does.

    Raises:
        FleetError: the broker is away, or the device cannot be ordered.

    """
    return studio.hub.set_stream(device, stream, camera)


def view_of(device: Device, camera: str = "") -> CameraView | None:
    """Return how a camera was told to look; None where nobody has told it, and its own settings hold."""
    return device.desired.view_of(camera) if device.desired is not None else None


def order_view(studio: Studio, device: str, view: CameraView | None, camera: str = "") -> int:
    """Order a camera to look in another way, or (None) as its own settings say; return the order's revision.

    Raises:
        FleetError: the broker is away, or the device cannot be ordered.

    """
    return studio.hub.set_camera(device, view, camera)


def standing(device: Device, revision: int) -> tuple[Standing, str]:
    """Return how an order stands at its device, and that as a sentence."""
    reported = device.reported
    if reported is None or reported.revision < revision:
        when = (
            "Waiting for it to confirm." if device.online else "It is offline and takes it when it is back."
        )
        return Standing.WAITING, f"Ordered as revision {revision}. {when}"
    if (
        reported.revision == revision
        and reported.state is DeviceState.FAILED
        and reported.reason in _NOT_OBEYED
    ):
        return Standing.REFUSED, f"{device.name} refuses revision {revision}: {reported.message}"
    return Standing.IN_FORCE, f"{device.name} streams in this way since revision {revision}."


def summary(report: StreamReport) -> str:
    """Return how a device streams just now, as a line."""
    if report.fps == 0:
        parts = ["No frames flow: nobody watches"]
    else:
        parts = [f"{report.fps:.1f} frames/s of {report.width} pixels at quality {report.quality}"]
    if report.delay_ms is not None:
        parts.append(f"{figures.milliseconds(report.delay_ms)} to leave the device")
    return " · ".join([*parts, *late_results(report)])


def late_results(report: StreamReport) -> list[str]:
    """Return what is to be said of results that the broker's absence has held up."""
    parts = []
    if report.kept:
        parts.append(f"{figures.plural(report.kept, 'late result')} on the way")
    if report.lost:
        parts.append(f"{figures.plural(report.lost, 'result')} lost while the broker was away")
    return parts


def known_labels(studio: Studio, device: Device) -> list[str]:
    """Return labels to choose from: those that the device has seen lately, and those of its order."""
    rule = ordered(device).snapshots
    labels = set(rule.classes if rule else ())
    if device.last_result is not None:
        labels |= {prediction.label for prediction in device.last_result.predictions}
    for kept in studio.hub.snapshots(device.name):
        labels |= {prediction.label for prediction in kept.result.predictions}
    return sorted(labels)


def take(studio: Studio, device: str, camera: str = "") -> int:
    """Have a camera take a picture; return the number of its frame. The picture comes a moment later.

    Raises:
        FleetError: it did not answer, or cannot take one.

    """
    return int(_snapshot(studio, device, {"camera": camera} if camera else {}).get("frame", 0))


def take_and_wait(studio: Studio, name: str, timeout_s: float = ARRIVAL_S) -> Picture:
    """Have a camera take a picture, and wait until it has come. It blocks: call it in a thread.

    `name`: of its device, or ``device/camera`` where that has several.

    Raises:
        FleetError: the device did not answer, cannot take one, or the picture did not come in time.

    """
    began = time.time()
    device, camera = split_source(name)
    frame = take(studio, device, camera)
    deadline = time.monotonic() + timeout_s
    while True:
        for packet in studio.hub.snapshots(device):
            # Frames are numbered from 0 again when a client restarts: only what has come since then counts.
            is_ours = packet.source == name and packet.result.frame == frame
            if is_ours and packet.received_at >= began:
                return _picture(packet)
        if time.monotonic() >= deadline:
            raise FleetError(
                f"{name} took a picture, which did not arrive within {timeout_s:g} s. It keeps those that "
                "it cannot send; the Fleet page fetches them."
            )
        time.sleep(0.05)


def address(name: str, picture: Picture) -> str:
    """Return where the studio serves a picture. `name`: of the camera or its device."""
    device, _ = split_source(name)
    return f"/api/snapshots/{device}/{picture.id}.jpg"


def fetch(studio: Studio, device: str) -> int:
    """Have a device send the newest pictures that it has kept; return how many will come.

    Raises:
        FleetError: it did not answer.

    """
    return int(_snapshot(studio, device, {"newest": FETCHED}).get("pictures", 0))


def pictures(studio: Studio, device: str) -> list[Picture]:
    """Return the pictures that have come from a device, newest first."""
    return [_picture(packet) for packet in studio.hub.snapshots(device)]


def picture(studio: Studio, device: str, picture_id: str) -> Picture | None:
    """Return one picture, None when it is not, or no longer, there."""
    return next((found for found in pictures(studio, device) if found.id == picture_id), None)


def _snapshot(studio: Studio, device: str, args: dict[str, Any]) -> dict[str, int]:
    reply = studio.hub.command(device, "snapshot", args, COMMAND_TIMEOUT_S)
    if not reply.ok:
        raise FleetError(f"{device} sends no picture: {reply.error or 'it gave no reason'}")
    return {name: value for name, value in reply.result.items() if isinstance(value, int)}


def _picture(packet: FramePacket) -> Picture:
    result = packet.result
    # The session may be any text; a digest of it is fit for an address.
    identity = f"{result.session}|{result.frame}" + (f"|{result.camera}" if result.camera else "")
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    at = min(result.captured_at, 2**33)  # a device with a broken clock must not break the page
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(at))
    best = result.predictions[0] if result.predictions else None
    return Picture(
        id=digest,
        camera=result.camera,
        name=f"{packet.source.replace('/', '-')}-{when}-{result.frame}.jpg",
        taken_at=at,
        label=f"{best.label} · {best.score * 100:.0f} %" if best is not None else "",
        jpeg=packet.jpeg,
    )

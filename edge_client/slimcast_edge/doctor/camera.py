"""Whether the camera gives pictures."""

from collections.abc import Callable, Mapping
from typing import Any

from slimcast_edge.camera.configured import ONLY
from slimcast_edge.camera.video import is_webcam
from slimcast_edge.doctor.child import ask_child
from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.doctor.neighbour import running_client
from slimcast_edge.settings import EdgeSettings

LIMIT_S = 30.0
_DARK = 2.0  # of 255: the noise of a sensor in the dark

_ADVICE = {
    "picamera2": "rpicam-hello --list-cameras must list it; if not, switch off and check the flat cable.",
    "video": "ls /dev/video* must list it; the user must be in the group video; unplug and plug it in again.",
}

_INSTALL = (
    "Run edge_client/install.sh again, which installs what the camera needs; or install it yourself as said."
)


def check_camera(settings: EdgeSettings, name: str = ONLY) -> Finding:
    """Open a camera in a process of its own and look at its pictures for a moment."""
    table = settings.camera_tables[name]
    kind, check = str(table.get("kind", "")), check_name(name)
    seen = ask_child("camera", table, timeout_s=LIMIT_S)
    if "error" in seen:
        other = running_client() if seen.get("away") and _is_opened_once(kind, table) else None
        if other is not None:
            return good(check, f"{kind}: not opened, since the client that runs (process {other}) has it")
        return bad(check, f"{kind}: {seen['error']}", _advice(kind, name, seen))
    return _judge(check, kind, seen)


def _is_opened_once(kind: str, table: Mapping[str, Any]) -> bool:
    """Return whether one process at a time can have it."""
    return kind == "picamera2" or (kind == "video" and is_webcam(table.get("source", 0)))


def _advice(kind: str, name: str, seen: dict[str, Any]) -> str:
    if seen.get("not_installed"):
        return _INSTALL
    where = f"[cameras.{name}]" if name else "[camera]"
    return _ADVICE.get(kind, f"Look at {where} in the settings.")


def check_name(name: str) -> str:
    """Return what the report calls the check of a camera."""
    return f"camera {name}".strip()


def check_of(name: str) -> Callable[[EdgeSettings], Finding]:
    """Return the check of one camera."""
    return lambda settings: check_camera(settings, name)


def _judge(check: str, kind: str, seen: dict[str, Any]) -> Finding:
    what = f"{kind}: {seen['width']}x{seen['height']}, {seen['fps']:.1f} frames a second"
    if seen["brightness"] < _DARK:
        return bad(
            check, f"{what}, but they are all black.", "Take the cap off the lens, or switch a light on."
        )
    return good(check, what)

"""Two models on one camera: what the address may ask for, and what one tab compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from slimcast.errors import SlimcastError
from slimcast.fleet.records import split_source
from slimcast_web.services import fleet, label_sets, live
from slimcast_web.services.studio import Studio

if TYPE_CHECKING:
    from slimcast.fleet.comparing import Comparison
    from slimcast.fleet.hub import FleetHub

MAX_COMPARED = 8
_HASH_CHARS = 64


@dataclass(frozen=True, kw_only=True)
class SecondModel:
    """What is to answer beside a device's own model. `name`: for people."""

    artifact: str
    name: str


def named(studio: Studio, device: str, run: str, variant: str) -> dict[str, SecondModel]:
    """Return what an address asks to compare; nothing where there is no such camera, run or variant."""
    if not _is_device(device):
        return {}
    try:
        found = {what.variant.name: what for what in fleet.publishable(studio, run)}
    except SlimcastError:
        return {}
    what = found.get(variant)
    return {} if what is None else {device: SecondModel(artifact=what.artifact, name=what.title)}


def strangers(studio: Studio, device: str, second: SecondModel) -> str:
    """Say that a second model shares no label with what a device runs; "" where it does or is not known."""
    known = {one.name: one.reported for one in studio.hub.devices()}
    reported = known.get(device)
    if reported is None or reported.active is None:
        return ""
    first = (reported.active, f"{reported.active_name} (on {device})")
    return label_sets.strangers(studio, [first, (second.artifact, second.name)])


class Comparisons:
    """What one tab compares, by device. Called from several threads, one at a time."""

    def __init__(self, hub: "FleetHub", viewer: str) -> None:
        self._hub, self._viewer = hub, viewer
        self._wanted: dict[str, SecondModel] = {}
        self._problems: dict[str, str] = {}
        self._changing = Lock()
        self._closed = False

    def want(self, wanted: Mapping[str, SecondModel]) -> None:
        """Compare exactly these."""
        with self._changing:
            if not self._closed:  # else a call that was on its way in a thread when the tab closed
                self._change(dict(wanted))

    def close(self) -> None:
        """Compare nothing any more."""
        with self._changing:
            self._change({})
            self._closed = True

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what the wall says of each comparison of this tab, by device."""
        found: dict[str, dict[str, Any]] = {}
        for device, second in list(self._wanted.items()):
            problem, now = self._problems.get(device), self._hub.comparing.of(device)
            if problem is not None or now is None:
                found[device] = {"name": second.name, "state": "ended", "message": problem or ""}
            else:
                found[device] = _state(now)
        return found

    def _change(self, wanted: dict[str, SecondModel]) -> None:
        for device, second in self._wanted.items():
            if wanted.get(device) != second:
                self._hub.comparing.leave(device, self._viewer)
                self._problems.pop(device, None)
        new = {device: second for device, second in wanted.items() if self._wanted.get(device) != second}
        self._wanted = wanted
        for device, second in new.items():
            try:
                self._hub.comparing.join(device, second.artifact, second.name, self._viewer)
            except SlimcastError as error:
                self._problems[device] = str(error)


def asked(message: Any) -> dict[str, SecondModel]:
    """Read what a browser asks for: ``{"cam1": {"artifact": sha256, "name": text}}``; rubbish is nothing."""
    if not isinstance(message, dict):
        return {}
    found = {}
    for device, second in list(message.items())[:MAX_COMPARED]:
        if _is_device(device) and isinstance(second, dict):
            artifact, name = second.get("artifact"), second.get("name")
            if isinstance(artifact, str) and len(artifact) == _HASH_CHARS and isinstance(name, str):
                found[device] = SecondModel(artifact=artifact, name=name[:200])
    return found


def _is_device(text: str) -> bool:
    # A device compares for all of its cameras; those are named device/camera.
    return live.named(text) == [text] and not split_source(text)[1]


def _state(now: "Comparison") -> dict[str, Any]:
    tally = now.tally
    return {
        "name": now.name,
        "state": now.state,
        "progress": round(now.progress, 3),
        "message": now.message,
        "frames": tally.frames,
        "agreed": tally.agreed,
        "known": tally.known,
        "right": [tally.first_right, tally.second_right],
        "ms": [round(tally.first_ms, 3), round(tally.second_ms, 3)],
    }

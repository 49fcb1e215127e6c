"""Makes a camera appear in Home Assistant by itself, through MQTT device discovery, and vanish again.

Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from slimcast_edge import __version__
from slimcast_edge.client.vitals import CameraVitals, Vitals
from slimcast_edge.durable import write_durably
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import CameraSummary, Summary, topic

MARK = "home-assistant.topic"
_NO_MODEL = "none"
_LABEL_CHARS = 60  # so that those of all cameras fit into one message
_ABOUT_ITSELF = {"entity_category": "diagnostic", "state_class": "measurement"}
_MODEL = (
    "{{ {'installed_version': value_json.model, 'latest_version': value_json.offered, "
    "'title': 'Slimcast model', 'in_progress': value_json.updating, "
    "'update_percentage': value_json.progress_percent, "
    "'release_summary': value_json.message} | to_json }}"
)


def discovery_topic(prefix: str, site: str, device: str) -> str:
    """Return the topic of a device's discovery; unique, though Home Assistant allows fewer characters.

    The device is a level of its own, as in all our topics: so one pattern of an ACL covers it.
    """
    return f"{prefix}/device/{_allowed(device)}/{_unique(site, device)}/config"


def discovery(site: str, device: str, hardware: str, cameras: Sequence[str] = ()) -> dict[str, Any]:
    """Return what Home Assistant must know: one device with its cameras, sensors and update entity."""
    unique = _unique(site, device)
    state = topic(site, device, "summary")
    sensor = functools.partial(_sensor, unique, state)
    seen = [_camera(site, device, name) for name in cameras] if cameras else [_only_camera(site, device)]
    parts = {
        **{name: part for camera in seen for name, part in camera.items()},
        "latency": sensor(
            "latency_ms", "Latency", device_class="duration", unit_of_measurement="ms", **_ABOUT_ITSELF
        ),
        "temperature": sensor(
            "temperature_c",
            "Temperature",
            device_class="temperature",
            unit_of_measurement="°C",
            **_ABOUT_ITSELF,
        ),
        "model": {
            "p": "update",
            "name": "Model",
            "unique_id": f"{unique}_model",
            "state_topic": state,
            "value_template": _MODEL,
        },
    }
    return {
        "dev": {
            "ids": [unique],
            "name": device,
            "mf": "Slimcast",
            "mdl": hardware,
            "sw": __version__,
            "sa": site,
        },
        "o": {"name": "slimcast", "sw": __version__},
        "availability": [
            {
                "topic": topic(site, device, "status"),
                "value_template": "{{ 'online' if value_json.online else 'offline' }}",
            }
        ],
        "cmps": parts,
    }


def _sensor(unique: str, state: str, key: str, name: str, **options: Any) -> dict[str, Any]:
    template = f"{{{{ value_json.{key} }}}}"
    own = {"p": "sensor", "name": name, "unique_id": f"{unique}_{key}", "value_template": template}
    return own | {"state_topic": state} | options


def _only_camera(site: str, device: str) -> dict[str, Any]:
    unique, frame = _unique(site, device), topic(site, device, "frame")
    sensor = functools.partial(_sensor, unique, topic(site, device, "summary"))
    return {
        "camera": {"p": "camera", "name": None, "unique_id": f"{unique}_camera", "topic": frame},
        "label": sensor("label", "Label", icon="mdi:tag"),
        "score": sensor("score_percent", "Score", unit_of_measurement="%", state_class="measurement"),
        "fps": sensor("fps", "Frame rate", unit_of_measurement="fps", **_ABOUT_ITSELF),
    }


def _camera(site: str, device: str, name: str) -> dict[str, Any]:
    """Return the parts of one of several cameras; its name may hold a dot, so it is no attribute."""
    # Two names may be one once their dots are replaced; their hash is not.
    key = f"{_allowed(name)}_{hashlib.sha256(name.encode()).hexdigest()[:4]}"
    unique, state = _unique(site, device), topic(site, device, "summary")

    def sensor(what: str, title: str, **options: Any) -> dict[str, Any]:
        own = {"unique_id": f"{unique}_{key}_{what}", "name": f"{name} {title}"}
        return _sensor(unique, state, f"cameras['{name}'].{what}", title, **options) | own

    return {
        f"camera_{key}": {
            "p": "camera",
            "name": name,
            "unique_id": f"{unique}_{key}_camera",
            "topic": topic(site, device, "camera", name),
        },
        f"label_{key}": sensor("label", "label", icon="mdi:tag"),
        f"score_{key}": sensor("score_percent", "score", unit_of_measurement="%", state_class="measurement"),
        f"fps_{key}": sensor("fps", "frame rate", unit_of_measurement="fps", **_ABOUT_ITSELF),
    }


def summary(vitals: Vitals) -> Summary:
    """Return the state of a client as Home Assistant shows it."""
    now, best, reported, offered = vitals.telemetry, vitals.best, vitals.reported, vitals.offered
    model = _version(reported.active_name, reported.active) if reported and reported.active else _NO_MODEL
    return Summary(
        session=vitals.session,
        label=best.label if best else None,
        score_percent=round(best.score * 100, 1) if best else None,
        fps=round(now.fps, 1) if now else 0.0,
        latency_ms=round(now.latency_p50_ms, 2) if now else 0.0,
        temperature_c=now.temperature_c if now else None,
        throttled=now.throttled if now else None,
        model=model,
        offered=_version(offered.name, offered.sha256) if offered else model,
        updating=reported is not None and not reported.state.is_settled(),
        progress_percent=round(reported.progress * 100) if reported and 0 < reported.progress < 1 else None,
        message=reported.message[:255] if reported else "",
        cameras={camera.name: _summary_of(camera) for camera in vitals.cameras},
    )


def _summary_of(camera: CameraVitals) -> CameraSummary:
    best = camera.best
    return CameraSummary(
        label=best.label[:_LABEL_CHARS] if best else None,
        score_percent=round(best.score * 100, 1) if best else None,
        fps=round(camera.fps, 1),
    )


def _version(name: str, sha256: str) -> str:
    return f"{name} {sha256[:8]}"


def _unique(site: str, device: str) -> str:
    digest = hashlib.sha256(f"{site}/{device}".encode()).hexdigest()[:6]
    return f"slimcast_{_allowed(site)}_{_allowed(device)}_{digest}"


def _allowed(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


class HomeAssistant:
    """Announces the device on each connect, and takes back what an earlier start has announced.

    Args:
        folder: the state folder; a file in it remembers the topic that was announced.
        prefix: of the discovery's topic; None: the device is not to appear.
        picture: sends the next frame of each camera, whoever watches.
        cameras: names of the cameras; none where the only one has none.

    """

    def __init__(
        self,
        connection: Connection,
        folder: Path,
        *,
        prefix: str | None,
        name: tuple[str, str],
        hardware: str,
        vitals: Callable[[], Vitals],
        picture: Callable[[], None],
        cameras: Sequence[str] = (),
    ) -> None:
        self._cameras = tuple(cameras)
        self._connection, self._mark, self._hardware = connection, folder / MARK, hardware
        self._site, self._device = name
        self._topic = discovery_topic(prefix, *name) if prefix is not None else None
        self._vitals, self._picture = vitals, picture

    def announce(self) -> None:
        """Publish the discovery, or an empty one in its place; to be called on each connect."""
        before = self._remembered()
        if before and before != self._topic and self._connection.announce(before, b""):
            self._mark.unlink(missing_ok=True)
        if self._topic is None:
            return
        if before != self._topic:
            write_durably(self._mark, self._topic.encode())
        document = discovery(self._site, self._device, self._hardware, self._cameras)
        self._connection.announce(self._topic, json.dumps(document).encode())

    def refresh(self) -> None:
        """Publish the state, and a picture soon."""
        if self._topic is not None and self._connection.connected:
            address = topic(self._site, self._device, "summary")
            self._connection.publish(address, summary(self._vitals()).encode())
            self._picture()

    def _remembered(self) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._mark.read_text().strip()
        return ""

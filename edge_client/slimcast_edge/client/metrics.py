"""Figures for Prometheus, in its text format."""

import numpy as np

from slimcast_edge import __version__
from slimcast_edge.client.vitals import Vitals
from slimcast_edge.telemetry import rss_mb
from slimcast_edge.wire import DeviceState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUANTILES = (0.5, 0.9, 0.99)


def render(vitals: Vitals) -> str:
    """Return the figures as Prometheus reads them; times in seconds, sizes in bytes."""
    page = _Page()
    page.add(
        "slimcast_client_info",
        "gauge",
        "The client.",
        1,
        site=vitals.site,
        device=vitals.device,
        version=__version__,
    )
    page.add("slimcast_frames_total", "counter", "Frames that were classified.", vitals.frames)
    page.add("slimcast_frames_dropped_total", "counter", "Frames that a newer one replaced.", vitals.dropped)
    page.add("slimcast_resident_bytes", "gauge", "Memory of the client.", rss_mb() * 1e6)
    page.add("slimcast_broker_connected", "gauge", "Whether the broker is reached.", int(vitals.connected))
    page.add(
        "slimcast_broker_reconnects_total", "counter", "Connections that ended or failed.", vitals.reconnects
    )
    _add_cameras(page, vitals)
    _add_latency(page, vitals)
    _add_telemetry(page, vitals)
    _add_deployment(page, vitals)
    return page.text()


def _add_cameras(page: "_Page", vitals: Vitals) -> None:
    """Add each of several cameras; a device with one has said all already."""
    name = "slimcast_camera_"
    for one in vitals.cameras:
        page.add(f"{name}up", "gauge", "Whether it gives frames.", int(not one.trouble), camera=one.name)
        page.add(f"{name}frames_total", "counter", "Its classified frames.", one.frames, camera=one.name)
        page.add(f"{name}dropped_total", "counter", "Its replaced frames.", one.dropped, camera=one.name)
        page.add(f"{name}fps", "gauge", "Its frames classified in a second.", one.fps, camera=one.name)


def _add_latency(page: "_Page", vitals: Vitals) -> None:
    name, text = (
        "slimcast_latency_seconds",
        "Preprocessing and inference of one frame; quantiles of the last ones.",
    )
    if vitals.latencies_ms:
        seconds = np.percentile(vitals.latencies_ms, [q * 100 for q in _QUANTILES]) / 1e3
        for quantile, value in zip(_QUANTILES, seconds, strict=True):
            page.add(name, "summary", text, float(value), quantile=str(quantile))
    page.add(name, "summary", text, vitals.latency_sum_s, suffix="_sum")
    page.add(name, "summary", text, vitals.frames, suffix="_count")


def _add_telemetry(page: "_Page", vitals: Vitals) -> None:
    now = vitals.telemetry
    if now is None:
        return
    page.add("slimcast_fps", "gauge", "Frames classified in a second, over the last interval.", now.fps)
    page.add("slimcast_uptime_seconds", "gauge", "Time since the client started.", now.uptime_s)
    if now.temperature_c is not None:
        page.add("slimcast_temperature_celsius", "gauge", "Hottest sensor of the device.", now.temperature_c)
    if now.throttled is not None:
        page.add("slimcast_throttled", "gauge", "Whether the device slows itself down.", int(now.throttled))


def _add_deployment(page: "_Page", vitals: Vitals) -> None:
    reported = vitals.reported
    if reported is None:
        return
    for state in DeviceState:
        value = int(state is reported.state)
        page.add("slimcast_deployment_state", "gauge", "1 for the state it is in.", value, state=state.value)
    page.add("slimcast_revision", "gauge", "Revision of the last order.", reported.revision)
    page.add("slimcast_download_ratio", "gauge", "Share of the model that has arrived.", reported.progress)
    if reported.active:
        page.add(
            "slimcast_model_info",
            "gauge",
            "The model that classifies.",
            1,
            name=reported.active_name,
            sha256=reported.active,
        )


class _Page:
    """Lines of the text format; what belongs to one name stands together."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(
        self, name: str, kind: str, text: str, value: float, /, *, suffix: str = "", **labels: str
    ) -> None:
        lines = self._families.setdefault(name, [f"# HELP {name} {text}", f"# TYPE {name} {kind}"])
        inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{name}{suffix}{'{' + inner + '}' if inner else ''} {value:.10g}")

    def text(self) -> str:
        return "\n".join(line for lines in self._families.values() for line in lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

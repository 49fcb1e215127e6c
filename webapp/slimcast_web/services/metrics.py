"""The studio's own figures, in Prometheus' text format."""

import time

import psutil

from slimcast.records import RunState
from slimcast_web.services.studio import Studio


def prometheus_text(studio: Studio) -> str:
    """Return all figures; names end in their unit."""
    lines: list[str] = []
    devices = studio.hub.devices()
    _add(
        lines,
        "slimcast_broker_connected",
        "gauge",
        "1 while the hub has its broker.",
        int(studio.hub.connected),
    )
    _add(lines, "slimcast_devices", "gauge", "Devices that have ever been seen.", len(devices))
    online = sum(1 for device in devices if device.online)
    _add(lines, "slimcast_devices_online", "gauge", "Devices that are connected.", online)
    for name, value in sorted(studio.hub.counters.items()):
        _add(lines, f"slimcast_hub_{name}_total", "counter", f"The hub's counter {name}.", value)
    lines += ["# HELP slimcast_runs Runs by state, of the newest 1000.", "# TYPE slimcast_runs gauge"]
    runs = studio.store.runs(limit=1000)
    for state in RunState:
        lines.append(f'slimcast_runs{{state="{state.value}"}} {sum(1 for run in runs if run.state == state)}')
    memory = psutil.Process().memory_info().rss
    _add(lines, "slimcast_resident_memory_bytes", "gauge", "Memory of the app's process.", memory)
    uptime = round(time.time() - studio.started_at, 1)
    _add(lines, "slimcast_uptime_seconds", "gauge", "Since the app's start.", uptime)
    return "\n".join(lines) + "\n"


def _add(lines: list[str], name: str, kind: str, what: str, value: float) -> None:
    lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", f"{name} {value}"]

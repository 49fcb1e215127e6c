"""Clock, temperature and power of the device."""

import shutil
import subprocess
import time

from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.telemetry import temperature_c, throttled

_EARLIEST = 1_767_225_600.0  # 2026-01-01: this program is not older, so a clock before it is wrong
_HOT_C = 80.0  # a Raspberry Pi begins to slow down here
_ASK_TIMEOUT_S = 5.0


def check_clock(_settings: EdgeSettings) -> Finding:
    """Check that the time is plausible, and that something keeps it right."""
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _EARLIEST:
        return bad(
            "clock",
            f"It says {shown}, which is long ago. Frames get wrong times, and TLS refuses every broker.",
            "Connect the device to a network with a time server: sudo timedatectl set-ntp true",
        )
    kept = _synchronized()
    if kept is False:
        return bad(
            "clock",
            f"{shown}, but no time server keeps it right.",
            "sudo timedatectl set-ntp true; where there is no Internet, name a server of your network in "
            "/etc/systemd/timesyncd.conf",
        )
    return good("clock", shown + (", kept right by a time server" if kept else ""))


def _synchronized() -> bool | None:
    """Ask systemd whether a time server keeps the clock right; None where it cannot be asked."""
    command = shutil.which("timedatectl")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def check_temperature(_settings: EdgeSettings) -> Finding:
    """Check that the device neither overheats nor lacks power."""
    celsius, slowed = temperature_c(), throttled()
    shown = "no sensor here" if celsius is None else f"{celsius:.0f} °C"
    if slowed:
        return bad(
            "temperature",
            f"{shown}; the device slows itself down just now (heat, or too little power).",
            "Use the power supply that belongs to the board and a short cable, and add a heat sink or a fan.",
        )
    if celsius is not None and celsius >= _HOT_C:
        return bad(
            "temperature", f"{shown}: too hot to stay fast.", "Add a heat sink or a fan; let air get to it."
        )
    return good("temperature", shown + (", not slowed down" if slowed is False else ""))

"""What a device knows of its own well-being."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6 if hasattr(os, "sysconf") else 0.0
_THERMAL = Path("/sys/class/thermal")
_PMIC_SAYS_C = 100.0
"""What the power management chip of a Jetson says as long as it is below 120 degrees: it has no thermometer.
https://forums.developer.nvidia.com/t/what-does-each-temperature-zone-mean-ao-pll-thermal/121300"""
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_ASK_TIMEOUT_S = 1.0
_NOW = 0xF  # under-voltage, frequency capped, throttled, soft temperature limit: all of this moment


def rss_mb() -> float:
    """Return the memory that this process has resident, 10^6 bytes; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB
    except (OSError, IndexError, ValueError):
        return 0.0


def peak_rss_mb() -> float:
    """Return the most memory that this process has had resident, 10^6 bytes; 0 where nobody says."""
    # Not getrusage: its ru_maxrss starts with what the parent had when it forked.
    try:
        status = Path("/proc/self/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration, ValueError):
        return 0.0


def temperature_c(folder: Path = _THERMAL) -> float | None:
    """Return the highest temperature of the zones, degrees Celsius; None where there is no sensor."""
    values = []
    for path in folder.glob("thermal_zone*/temp"):
        try:
            value = int(path.read_text()) / 1000
        except (OSError, ValueError):
            continue  # a zone that is switched off refuses to be read
        if -50 < value < 200 and not (value <= _PMIC_SAYS_C and _is_pmic(path.with_name("type"))):
            values.append(value)
    return max(values, default=None)


def _is_pmic(path: Path) -> bool:
    try:
        return "pmic" in path.read_text().lower()
    except OSError:
        return False


def throttled(path: Path = _THROTTLED, command: str = "vcgencmd") -> bool | None:
    """Return whether a Raspberry Pi slows itself down just now (heat, weak power); None elsewhere."""
    try:
        text = path.read_text()
    except OSError:
        text = _ask(command)
    try:
        return bool(int(text.strip().rpartition("=")[2], 16) & _NOW)
    except ValueError:
        return None


_find = functools.cache(shutil.which)  # looked for once: what is not a Raspberry Pi starts no process in vain


def _ask(command: str) -> str:
    if _find(command) is None:
        return ""
    try:
        return subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""

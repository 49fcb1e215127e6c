"""Numbers as people read them: always with a unit, never with more digits than they carry."""

import time


def size(value: float) -> str:
    """Return bytes in decimal units: ``61 kB``, ``9.23 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{three_digits(value / scale)} {unit}"
    return f"{value:.0f} B"


def count(value: float) -> str:
    """Return a count: ``61.7 k``, ``2.24 M``."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{three_digits(value / scale)} {unit}"
    return f"{value:.0f}"


def milliseconds(value: float) -> str:
    """Return a latency: ``0.062 ms``, ``1.65 ms``, ``37.0 ms``."""
    return f"{three_digits(value)} ms"


def three_digits(value: float) -> str:
    """Return a number with three digits and no unit: ``0.062``, ``1.65``, ``37.0``."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def plural(number: int, noun: str) -> str:
    """Return a count with its noun: ``1 thread``, ``4 threads``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(fraction: float) -> str:
    """Return a fraction from 0 to 1 as a percentage with two digits behind the point."""
    return f"{fraction * 100:.2f} %"


def factor(value: float) -> str:
    """Return how many times: ``3.1``, ``12``."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Return a duration: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(at: float) -> str:
    """Return how long ago a Unix time was."""
    return f"{duration(time.time() - at)} ago" if at else "never"

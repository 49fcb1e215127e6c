"""When a device deserves attention: pure rules on what it has said lately. No store, no threads."""

import statistics
from collections.abc import Collection
from dataclasses import dataclass

from slimcast.fleet.drift import Drift
from slimcast.fleet_records import AlertKind, Baseline
from slimcast_edge.wire import Telemetry

WINDOW = 6
"""Telemetry messages that a judgement on speed rests on; heat needs half of them."""


@dataclass(frozen=True, kw_only=True)
class AlertLimits:
    """When an alert opens, and (``_calm``) below what it is resolved.

    Attributes:
        offline_s: silence, s. hot_c: temperature, degrees Celsius; a board that says that it throttles is hot
            at any.
        latency_factor: median latency as a multiple of the baseline. fps_share: frames a second as a share
            of the baseline.
        drift_distance: Jensen-Shannon distance of the last 24 h to the 24 h before; `drift_count` answers
            are needed on each side.
    """

    offline_s: float = 300.0
    hot_c: float = 80.0
    hot_calm_c: float = 5.0
    latency_factor: float = 1.5
    latency_calm: float = 1.3
    fps_share: float = 0.6
    fps_calm: float = 0.75
    drift_distance: float = 0.3
    drift_calm: float = 0.25
    drift_count: int = 500


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """What the rules look at.

    Attributes:
        last_seen: Unix time, s. recent: its newest messages of this session, the last one at the end.
        drift: of its labels, None where there is nothing to compare.
    """

    online: bool
    last_seen: float
    recent: tuple[Telemetry, ...] = ()
    baseline: Baseline | None = None
    drift: Drift | None = None


def judge(
    vitals: Vitals, limits: AlertLimits, open_kinds: Collection[AlertKind], now: float
) -> dict[AlertKind, str]:
    """Return the alerts that should be open at Unix time `now`, s, with what each says.

    `open_kinds` are open already: each stays so until the device is well below the limit, and while the
    device is silent nothing but its silence is judged.
    """
    found: dict[AlertKind, str] = {kind: "" for kind in open_kinds if kind is not AlertKind.OFFLINE}
    if not vitals.online:
        if now - vitals.last_seen >= limits.offline_s or AlertKind.OFFLINE in open_kinds:
            found[AlertKind.OFFLINE] = "It is not connected to the broker."
        return found
    verdicts = {
        AlertKind.HOT: _hot(vitals, limits, AlertKind.HOT in open_kinds),
        AlertKind.SLOW: _slow(vitals, limits, AlertKind.SLOW in open_kinds),
        AlertKind.DRIFTING: _drifting(vitals, limits, AlertKind.DRIFTING in open_kinds),
    }
    return {
        kind: message if message is not None else found[kind]
        for kind, message in verdicts.items()
        if message or (message is None and kind in found)
    }


def _hot(vitals: Vitals, limits: AlertLimits, is_open: bool) -> str | None:
    """Return what to say, "" where all is well, None where too little is known to say either."""
    recent = vitals.recent[-(WINDOW // 2) :]
    if len(recent) < WINDOW // 2:
        return None
    limit_c = limits.hot_c - (limits.hot_calm_c if is_open else 0.0)
    hot = [bool(t.throttled) or (t.temperature_c or -273.0) >= limit_c for t in recent]
    if not (any(hot) if is_open else all(hot)):
        return ""
    last = recent[-1]
    parts = [f"{last.temperature_c:.0f} °C"] if last.temperature_c is not None else []
    parts += ["it throttles itself (heat or weak power)"] if last.throttled else []
    return f"Hot: {', '.join(parts) or 'its sensor is silent'}."


def _slow(vitals: Vitals, limits: AlertLimits, is_open: bool) -> str | None:
    baseline = vitals.baseline
    if baseline is None or len(vitals.recent) < WINDOW:
        return None
    latency_ms = statistics.median(t.latency_p50_ms for t in vitals.recent)
    fps = statistics.median(t.fps for t in vitals.recent)
    factor = limits.latency_calm if is_open else limits.latency_factor
    share = limits.fps_calm if is_open else limits.fps_share
    if latency_ms > factor * baseline.latency_ms:
        return f"{latency_ms:.2f} ms for an image; when this model was new it took {baseline.latency_ms:.2f}."
    if fps < share * baseline.fps:
        return f"{fps:.1f} frames/s; when this model was new it answered {baseline.fps:.1f}."
    return ""


def _drifting(vitals: Vitals, limits: AlertLimits, is_open: bool) -> str | None:
    drift = vitals.drift
    if drift is None or min(drift.n_before, drift.n_now) < limits.drift_count:
        return None
    if drift.distance < (limits.drift_calm if is_open else limits.drift_distance):
        return ""
    return (
        f"Its labels differ from the day before (distance {drift.distance:.2f}): {drift.label!r} came in "
        f"{drift.share_before * 100:.0f} % of all answers, now in {drift.share_now * 100:.0f} %."
    )

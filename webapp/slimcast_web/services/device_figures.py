"""What devices have measured of variants, as measurements beside those of the runs."""

from collections.abc import Collection

from slimcast.records import Benchmark, Measurement
from slimcast_web.services.studio import Studio


def of_artifacts(studio: Studio, artifacts: Collection[str]) -> dict[str, tuple[Measurement, ...]]:
    """Return figures by the artifact's sha256; of several with the same clock the newest counts."""
    newest = {(one.artifact, one.clock): one for one in studio.store.benchmarks.of(artifacts)}
    found: dict[str, tuple[Measurement, ...]] = {}
    for (artifact, _clock), one in newest.items():
        found[artifact] = found.get(artifact, ()) + _measurements(one)
    return found


def _measurements(one: Benchmark) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(
            name=name,
            value=value,
            unit=unit,
            higher_is_better=False,
            n=one.runs,
            spread=spread,
            machine=one.clock,
        )
        for name, value, unit, spread in (
            ("latency_p50_ms", one.p50_ms, "ms", one.std_ms),
            ("latency_p90_ms", one.p90_ms, "ms", one.std_ms),
            ("peak_rss_mb", one.peak_rss_mb, "MB", 0.0),
        )
    )

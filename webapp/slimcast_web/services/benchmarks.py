"""What devices have measured of a variant, benchmark by benchmark."""

from slimcast.records import Benchmark
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point


def of_point(studio: Studio, point: Point) -> list[Benchmark]:
    """Return what devices measured of a point, newest first."""
    return list(reversed(studio.store.benchmarks.of([point.variant.artifact or ""])))


def remarks(one: Benchmark) -> str:
    """Return what is to be known about a benchmark beside its figures; nothing when all was well."""
    said = [
        *(["the board slowed itself down (heat or weak power)"] if one.throttled else []),
        *([f"it became {one.slowdown:.2f} times slower meanwhile"] if one.got_slower else []),
        *(["other programs computed there too"] if one.busy else []),
    ]
    return "; ".join(said)

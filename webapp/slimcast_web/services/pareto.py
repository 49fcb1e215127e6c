"""Pareto fronts: the variants that nothing else beats."""

from collections.abc import Sequence

import numpy as np

from slimcast_web.services.measures import Measure
from slimcast_web.services.tradeoffs import Point


def front(points: Sequence[Point], measures: Sequence[Measure], machine: str = "") -> list[Point]:
    """Return the points that no other equals in all of the measures and beats in one, by the first measure.

    Args:
        points: those that lack one of the measures are left out.
        measures: two or more, each with its better direction.
        machine: whose latencies count, see `Point.value`.
    """
    values = [[point.value(measure.name, machine) for measure in measures] for point in points]
    usable = [i for i, row in enumerate(values) if all(v is not None and np.isfinite(v) for v in row)]
    if not usable:
        return []
    signs = [-1.0 if measure.higher_is_better else 1.0 for measure in measures]
    costs = np.array([values[i] for i in usable], np.float64) * signs  # (n, measures), less is better
    best = [i for i, row in zip(usable, costs, strict=True) if not _beaten(row, costs)]
    return [points[i] for i in sorted(best, key=lambda i: (values[i][0] or 0.0, values[i][1] or 0.0))]


def _beaten(row: np.ndarray, costs: np.ndarray) -> bool:
    return bool(((costs <= row).all(1) & (costs < row).any(1)).any())

"""Variants side by side: each measure with its difference from the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from slimcast_web.services import label_sets
from slimcast_web.services.measures import SAME, Measure, measured
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point, baseline

MISSING = "–"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of one variant. `change`: from the reference, absolute and in per cent; "" for its own.

    `verdict`: ``better``, ``worse`` or "" where it is the same or not known.
    """

    text: str
    change: str = ""
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure of all variants, in their order."""

    title: str
    figures: tuple[Figure, ...]


def chosen(points: Sequence[Point], keys: Sequence[str], shown: Point) -> list[Point]:
    """Return the variants to compare: those of these keys, else the shown one with its baseline."""
    by_key = {point.key: point for point in points}
    found = [by_key[key] for key in keys if key in by_key]
    if len(found) > 1:
        return found
    others = [shown] if not found or found[0].key == shown.key else [*found, shown]
    if len(others) > 1:
        return others
    base = baseline(points, shown)
    return others if base is None else [base, shown]


def lines(points: Sequence[Point], machine: str = "") -> list[Line]:
    """Return all measures of variants; the first of them is the reference."""
    known = measured(one for point in points for one in point.variant.measurements)
    return [
        Line(title=measure.title, figures=tuple(_figure(measure, points[0], p, machine) for p in points))
        for measure in known.values()
    ]


def strangers(studio: Studio, points: Sequence[Point]) -> str:
    """Say that one of the variants shares no label with the first; "" where all do, or it is not known."""
    named = zip(points, short_titles(points), strict=True)
    return label_sets.strangers(studio, [(p.variant.artifact, n) for p, n in named if p.variant.artifact])


def short_titles(points: Sequence[Point]) -> list[str]:
    """Return a name for each, as short as tells them apart."""
    for names in (
        [point.variant.name for point in points],
        [point.title for point in points],
        [f"{point.title} ({point.run.id})" for point in points],
    ):
        if len(set(names)) == len(names):
            return names
    return [point.key for point in points]


def _figure(measure: Measure, reference: Point, point: Point, machine: str) -> Figure:
    value, before = point.value(measure.name, machine), reference.value(measure.name, machine)
    if value is None:
        return Figure(text=MISSING)
    if before is None or point.key == reference.key:
        return Figure(text=measure.text(value))
    change, verdict = measure.change(before, value), ""
    if change != SAME:
        verdict = "better" if (value > before) == measure.higher_is_better else "worse"
    return Figure(text=measure.text(value), change=change, verdict=verdict)

"""One variant against the baseline of its run."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from slimcast_web.plots.trade_off import KIND_TITLES
from slimcast_web.services import figures, tradeoffs
from slimcast_web.services.measures import KNOWN, LATENCY, SIZE
from slimcast_web.services.tradeoffs import Point

_SHOWN = 0.005
"""The least relative change that is shown: less would read as 0 %."""


def show(points: Sequence[Point], point: Point, machine: str = "") -> None:
    """Show one variant: against the baseline of its run, and what zeros and fewer bits are worth."""
    against_baseline(tradeoffs.baseline(points, point), point, machine)
    if note := tradeoffs.zeros_note(points, point):
        st.caption(note)
    if note := tradeoffs.numbers_note(points, point):
        st.markdown(note)


def against_baseline(base: Point | None, point: Point, machine: str = "") -> None:
    """Show a variant's figures, with what has changed since the baseline of its run."""
    accuracy, size, macs, latency = st.columns(4)
    gain = None
    if base is not None:
        gain = f"{((point.value('accuracy') or 0) - (base.value('accuracy') or 0)) * 100:+.2f} points"
    accuracy.metric("Accuracy", figures.percent(point.value("accuracy") or 0), gain, border=True)
    with size:
        _cost("File", base, point, SIZE, machine)
    with macs:
        _cost("MACs", base, point, "macs", machine)
    with latency:
        _cost("Latency p50", base, point, LATENCY, machine)
    if base is not None:
        st.markdown(f"**{tradeoffs.sentence(base, point, machine)}**")


def titles(points: Sequence[Point]) -> dict[str, str]:
    """Return what boxes say of variants by key, each another: Streamlit tells options by their text."""
    several = len({point.run.id for point in points}) > 1
    found = {}
    for point in points:
        kind = KIND_TITLES.get(point.variant.step_kind, point.variant.step_kind)
        found[point.key] = f"{point.title if several else point.variant.name} ({kind})"
    counts = Counter(found.values())
    ids = {point.key: point.run.id for point in points}
    return {key: f"{text} · {ids[key]}" if counts[text] > 1 else text for key, text in found.items()}


def _cost(label: str, base: Point | None, point: Point, name: str, machine: str) -> None:
    value = point.value(name, machine)
    before = base.value(name, machine) if base is not None else None
    text = KNOWN[name].text
    change = None
    if value is not None and before and abs(value / before - 1) >= _SHOWN:
        change = f"{(value / before - 1) * 100:+.0f} %"
    st.metric(label, text(value) if value is not None else "–", change, delta_color="inverse", border=True)

"""Variants beside each other: the table, and one of them against its baseline."""

from collections.abc import Callable, Sequence

import streamlit as st

from slimcast_web.components import charts
from slimcast_web.services import figures, tradeoffs
from slimcast_web.services.tradeoffs import LATENCY, Point

_SHOWN = 0.005
"""The least relative change that is shown: less would read as 0 %."""


def table(points: Sequence[Point], front: Sequence[Point]) -> None:
    """Show all variants with their figures; units stand in the heads of the columns."""
    on_front = {point.key for point in front}
    several = len({point.run.id for point in points}) > 1
    number = st.column_config.NumberColumn
    st.dataframe(
        [_row(point, point.key in on_front, several) for point in points],
        hide_index=True,
        width="stretch",
        column_config={
            "on front": st.column_config.CheckboxColumn("on front"),
            "accuracy, %": number("accuracy, %", format="%.2f"),
            "size, kB": number("size, kB", format="%.1f"),
            "compressed, kB": number("compressed, kB", format="%.1f"),
            "MACs, k": number("MACs, k", format="%.1f"),
            "parameters": number("parameters", format="localized"),
            "p50, ms": number("p50, ms", format="%.3f"),
            "p90, ms": number("p90, ms", format="%.3f"),
            "agreement, %": number("agreement, %", format="%.2f"),
        },
    )


def against_baseline(base: Point | None, point: Point) -> None:
    """Show a variant's figures, with what has changed since the baseline of its run."""
    accuracy, size, macs, latency = st.columns(4)
    gain = None
    if base is not None:
        gain = f"{((point.value('accuracy') or 0) - (base.value('accuracy') or 0)) * 100:+.2f} points"
    accuracy.metric("Accuracy", figures.percent(point.value("accuracy") or 0), gain, border=True)
    with size:
        _cost("File", base, point, "size_bytes", figures.size)
    with macs:
        _cost("MACs", base, point, "macs", figures.count)
    with latency:
        _cost("Latency p50", base, point, LATENCY, figures.milliseconds)
    if base is not None:
        st.markdown(f"**{tradeoffs.sentence(base, point)}**")


def title(point: Point, several: bool) -> str:
    """Return what a box says of a variant."""
    kind = charts.KIND_TITLES.get(point.variant.step_kind, point.variant.step_kind)
    return f"{point.title} ({kind})" if several else f"{point.variant.name} ({kind})"


def _cost(label: str, base: Point | None, point: Point, name: str, text: Callable[[float], str]) -> None:
    value = point.value(name)
    before = base.value(name) if base is not None else None
    change = None
    if value is not None and before and abs(value / before - 1) >= _SHOWN:
        change = f"{(value / before - 1) * 100:+.0f} %"
    st.metric(label, text(value) if value is not None else "–", change, delta_color="inverse", border=True)


def _row(point: Point, on_front: bool, several: bool) -> dict[str, object]:
    def scaled(name: str, scale: float) -> float | None:
        value = point.value(name)
        return None if value is None else value * scale

    head: dict[str, object] = {"run": point.run.name} if several else {}
    return head | {
        "variant": point.variant.name,
        "numbers": point.variant.numeric_kind,
        "on front": on_front,
        "accuracy, %": scaled("accuracy", 100),
        "size, kB": scaled("size_bytes", 1e-3),
        "compressed, kB": scaled("compressed_bytes", 1e-3),
        "MACs, k": scaled("macs", 1e-3),
        "parameters": scaled("params", 1),
        "p50, ms": scaled(LATENCY, 1),
        "p90, ms": scaled("latency_p90_ms", 1),
        "agreement, %": scaled("agreement", 100),
    }

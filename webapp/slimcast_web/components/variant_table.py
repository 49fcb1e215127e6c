"""All variants with their figures; those that are ticked are shown side by side."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from slimcast_web.components.tradeoff_choice import TICKS, key
from slimcast_web.services.measures import LATENCY
from slimcast_web.services.tradeoff_link import MOST_COMPARED
from slimcast_web.services.tradeoffs import Point


def show(points: Sequence[Point], front: Sequence[Point], machine: str = "") -> None:
    """Show all variants with their figures; those that are ticked are shown side by side."""
    on_front = {point.key for point in front}
    several = len({point.run.id for point in points}) > 1
    number = st.column_config.NumberColumn
    chosen = st.session_state.get(key("compared"), [])
    ticked = [index for index, point in enumerate(points) if point.key in chosen]
    # By what is in it: other variants are other rows, and no tick may stay on the wrong one.
    name = f"tradeoff-table-{hash((*(point.key for point in points), st.session_state.get(TICKS, 0)))}"
    st.caption(f"Tick up to {MOST_COMPARED} to see them side by side.")
    st.dataframe(
        [_row(point, point.key in on_front, several, machine) for point in points],
        hide_index=True,
        key=name,
        on_select=partial(_tick, name, [point.key for point in points]),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": ticked}},
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


def _tick(name: str, keys: list[str]) -> None:
    state = st.session_state
    rows = state[name]["selection"]["rows"] if name in state else []
    state[key("compared")] = [keys[row] for row in rows if row < len(keys)][:MOST_COMPARED]


def _row(point: Point, on_front: bool, several: bool, machine: str) -> dict[str, object]:
    def scaled(name: str, scale: float) -> float | None:
        value = point.value(name, machine)
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

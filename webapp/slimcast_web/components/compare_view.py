"""Variants side by side: numbers with their differences, layers, weights."""

from collections.abc import Sequence

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import charts, layer_time_view, layer_view, notices
from slimcast_web.plots.layers import layer_bars
from slimcast_web.services import compared, layers
from slimcast_web.services.compared import Figure
from slimcast_web.services.layers import LAYER_MEASURES
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point

_WORDS = {"better": " (better)", "worse": " (worse)", "": ""}


def show(opened: Studio, points: Sequence[Point], chosen: Sequence[Point], machine: str) -> None:
    """Show variants beside each other; the first is what the others are compared with."""
    if len(chosen) < 2:
        notices.empty("Choose a second variant under “Side by side”, or tick some in the table.")
        return
    names = compared.short_titles(chosen)
    notices.doubt(compared.strangers(opened, chosen))
    rows = [
        {"measure": line.title} | {n: _text(f) for n, f in zip(names, line.figures, strict=True)}
        for line in compared.lines(chosen, machine)
    ]
    st.dataframe(rows, hide_index=True, width="stretch", height="content")
    st.caption("Differences are from the first of them. Latencies of different machines do not compare.")
    _layers(opened, chosen, names)
    _weights(opened, points, chosen[-1])


def _text(figure: Figure) -> str:
    return figure.text + (f"   {figure.change}{_WORDS[figure.verdict]}" if figure.change else "")


def _layers(opened: Studio, chosen: Sequence[Point], names: Sequence[str]) -> None:
    st.subheader("Layers")
    measure = st.segmented_control(
        "Figure of each layer",
        list(LAYER_MEASURES),
        default="channels",
        required=True,
        key="compare-layers",
        label_visibility="collapsed",
        format_func=str.capitalize,
    )
    if measure == "time":
        layer_time_view.show(opened, chosen, names)
    try:
        bars = layers.layer_bars(opened, chosen, measure or "channels")
    except SlimcastError as error:
        notices.error(error)
        return
    titles = [name for name, point in zip(names, chosen, strict=True) if point.key in bars]
    if measure == "time" and not bars:
        return
    if not any(bars.values()):
        st.caption("None of these files names its layers.")
        return
    charts.show(layer_bars(bars, titles, LAYER_MEASURES[measure or "channels"]), "compare-bars")


def _weights(opened: Studio, points: Sequence[Point], point: Point) -> None:
    if point.variant.numeric_kind == "float32":
        return
    box = st.expander(
        "Weights before and after", icon=":material/bar_chart:", key="compare-weights", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        try:
            changes = layers.layer_changes(opened, points, point)
        except SlimcastError as error:
            notices.error(error)
            return
        if changes:
            layer_view.show(changes)
        else:
            st.caption("There is no variant in float32 to compare with.")

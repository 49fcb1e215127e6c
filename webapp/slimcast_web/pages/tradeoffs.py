"""Trade-offs: what each variant costs and keeps, and which of them nothing else beats."""

from collections.abc import Sequence

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import (
    answers_view,
    compare_view,
    device_benchmark,
    navigation,
    notices,
    tradeoff_choice,
    tradeoff_files,
    tradeoff_plot,
    variant_table,
    variant_view,
)
from slimcast_web.plots.trade_off import Axes, fronts
from slimcast_web.services import compared, tradeoffs
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoff_link import SECTIONS, View
from slimcast_web.services.tradeoffs import Point


def show() -> None:
    """Render the page. Its address holds all that is chosen on it; ``?run=ID`` names a run to start with."""
    st.title("Trade-offs")
    opened = notices.studio_or_stop()
    try:
        points, asked = tradeoff_choice.runs(opened)
    except SlimcastError as error:
        notices.error(error)
        return
    if not points:
        notices.empty("Nothing is measured yet. Each step of a run leaves a variant that appears here.")
        navigation.link("compress", "Compress a network", icon=":material/compress:")
        return
    view = tradeoff_choice.view(points, asked)
    axes = tradeoff_plot.axes_of(points, view)
    tradeoff_plot.show(points, axes, view)
    shown = next(point for point in points if point.key == view.variant)
    chosen = compared.chosen(points, view.compared, shown)
    tradeoff_files.show(opened, points, chosen, axes, view)
    device_benchmark.show(opened, points, shown)
    st.segmented_control(
        "Show",
        list(SECTIONS),
        key=tradeoff_choice.key("section"),
        required=True,
        label_visibility="collapsed",
        format_func=lambda name: SECTIONS[name],
    )
    _section(opened, points, chosen, axes, view)
    st.caption(
        "Accuracy on held-out images. MACs and parameters of the network before quantization. "
        + tradeoffs.machine_note(points, view.machine)
    )


def _section(
    opened: Studio, points: Sequence[Point], chosen: Sequence[Point], axes: Axes, view: View
) -> None:
    if view.section == "compare":
        compare_view.show(opened, points, chosen, view.machine)
    elif view.section == "answers":
        answers_view.show(opened, chosen)
    elif view.section == "table":
        best = [point for line in fronts(points, axes) for point in line]
        variant_table.show(points, best, view.machine)
    else:
        variant_view.show(points, next(point for point in points if point.key == view.variant), view.machine)

"""What can be taken along from Trade-offs: model, recipe, table, report, and a link to all of it."""

from collections.abc import Sequence

import streamlit as st

from slimcast_web.components import navigation, notices
from slimcast_web.plots import report
from slimcast_web.plots.trade_off import Axes
from slimcast_web.services import tradeoff_link, tradeoffs
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoff_link import View
from slimcast_web.services.tradeoffs import Point


def show(opened: Studio, points: Sequence[Point], chosen: Sequence[Point], axes: Axes, view: View) -> None:
    """Show the buttons; `chosen` are the variants side by side."""
    point = next(point for point in points if point.key == view.variant)
    with st.container(horizontal=True):
        if point.variant.artifact:
            if st.button("Publish to a device", icon=":material/cast:", type="primary"):
                navigation.go("fleet", run=point.run.id, variant=point.variant.name)
            url = f"/api/artifacts/{point.variant.artifact}.onnx?name={point.file_name}"
            st.link_button("Download .onnx", url, icon=":material/download:")
        st.download_button(
            "Recipe",
            point.run.recipe_yaml,
            file_name=f"{point.run.name}.yaml"[-100:],
            mime="application/yaml",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            "CSV",
            lambda: tradeoffs.csv_file(points)[1],
            file_name=tradeoffs.csv_name(),
            mime="text/csv",
            icon=":material/table_view:",
            on_click="ignore",
        )
        with st.popover("Report and link", icon=":material/share:"):
            _report(opened, points, chosen, axes, view)


def _report(opened: Studio, points: Sequence[Point], chosen: Sequence[Point], axes: Axes, view: View) -> None:
    if missing := report.not_in_it(opened, chosen):
        notices.empty(missing)
    # Made when it is asked for: it takes a second, and every rerun would pay it.
    st.download_button(
        "HTML report",
        lambda: report.html_report(opened, points, chosen, axes, view.variant),
        file_name=report.file_name(),
        mime="text/html",
        icon=":material/summarize:",
        on_click="ignore",
    )
    st.caption("One file with the plots inside; it opens without a network.")
    st.caption("The address of this page shows what is on the screen now:")
    st.code(f"/trade-offs?{tradeoff_link.to_text(view)}", language=None, wrap_lines=True)

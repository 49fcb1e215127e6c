"""Trade-offs: what each variant costs and keeps, and which of them nothing else beats."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import charts, layer_view, navigation, notices, variant_view
from slimcast_web.services import layers, tradeoffs
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import COSTS, Point


def show() -> None:
    """Render the page. ``?run=ID`` names the run to start with."""
    st.title("Trade-offs")
    opened = notices.studio_or_stop()
    points = _points(opened)
    if not points:
        notices.empty("Nothing is measured yet. Each step of a run leaves a variant that appears here.")
        navigation.link("compress", "Compress a network", icon=":material/compress:")
        return
    several = len({point.run.id for point in points}) > 1
    by_key = {point.key: point for point in points}
    against, scale, choice = st.columns([5, 2, 5], vertical_alignment="bottom")
    titles = {cost.title: cost for cost in COSTS}
    picked = against.segmented_control("Accuracy against", list(titles), default=COSTS[0].title, key="cost")
    cost = titles[picked or COSTS[0].title]
    log = scale.toggle("Log axis", key="log-axis")
    keys = list(by_key)
    key = choice.selectbox(
        "Variant", keys, index=len(keys) - 1, format_func=lambda k: variant_view.title(by_key[k], several)
    )
    front = tradeoffs.front(points, cost.name)
    charts.trade_off(points, front, cost, log=log, chosen=key, key="trade-off")
    point = by_key[key]
    variant_view.against_baseline(tradeoffs.baseline(points, point), point)
    if note := tradeoffs.zeros_note(points, point):
        st.caption(note)
    if note := tradeoffs.numbers_note(points, point):
        st.markdown(note)
    _actions(points, point)
    _layers(opened, points, point)
    variant_view.table(points, front)
    st.caption(
        "Accuracy on held-out images. MACs and parameters of the network before quantization. "
        + tradeoffs.machine_note(points)
    )


def _points(opened: Studio) -> list[Point]:
    found = tradeoffs.runs_with_variants(opened)
    by_id = {run.id: run for run in found}
    if not found:
        return []
    navigation.follow_address("run", "tradeoff-runs", list(by_id), several=True)
    chosen = st.multiselect(
        "Runs",
        list(by_id),
        key="tradeoff-runs",
        format_func=lambda run_id: f"{by_id[run_id].name} · {run_id}",
        placeholder="Choose the runs to compare",
    )
    if not chosen:
        notices.empty("Choose at least one run.")
        st.stop()
    navigation.show_in_address("run", "tradeoff-runs", chosen[0])
    try:
        return tradeoffs.points(opened, chosen)
    except SlimcastError as error:
        notices.error(error)
        return []


def _layers(opened: Studio, points: list[Point], point: Point) -> None:
    if point.variant.numeric_kind == "float32":
        return
    with st.expander("Weights before and after", icon=":material/bar_chart:"):
        if not st.toggle("Show", key=f"layers-{point.key}"):  # opening both files takes a moment
            return
        try:
            changes = layers.layer_changes(opened, points, point)
        except SlimcastError as error:
            notices.error(error)
            return
        if changes:
            layer_view.show(changes)
        else:
            st.caption("There is no variant in float32 to compare with.")


def _actions(points: list[Point], point: Point) -> None:
    name, text = tradeoffs.csv_file(points)
    with st.container(horizontal=True):
        if point.variant.artifact:
            if st.button("Publish to a device", icon=":material/cast:", type="primary"):
                navigation.go("fleet", run=point.run.id, variant=point.variant.name)
            url = f"/api/artifacts/{point.variant.artifact}.onnx?name={point.file_name}"
            st.link_button("Download .onnx", url, icon=":material/download:")
        st.download_button(
            "Download CSV", text, file_name=name, mime="text/csv", icon=":material/table_view:"
        )

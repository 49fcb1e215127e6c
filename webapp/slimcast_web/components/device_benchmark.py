"""Have a device measure the chosen variant, alone or beside others, without running it."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.benchmarks import BenchmarkPlan
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import benchmarks, figures
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point


def show(opened: Studio, points: list[Point], point: Point) -> None:
    """Show the form, what is going on, and what devices have measured of the variant."""
    if not point.variant.artifact:
        return
    with st.expander("Measure on a device", icon=":material/speed:"):
        online = [device.name for device in opened.hub.devices() if device.online]
        if not online:
            st.caption("No device is online. Those that are can fetch and measure this variant on request.")
        else:
            _form(opened, online, points, point)
        is_busy = any(one.finished_at is None for one in opened.benchmarks.recent())
        st.fragment(_progress, run_every=1.0 if is_busy else None)(opened, is_busy)
        _table(opened, point)


def _form(opened: Studio, online: list[str], points: list[Point], point: Point) -> None:
    others = {
        p.key: p for p in points if p.run.id == point.run.id and p.variant.artifact and p.key != point.key
    }
    where, beside, camera, go = st.columns([3, 5, 3, 2], vertical_alignment="bottom")
    device = where.selectbox("Device", online, key="benchmark-device")
    also = beside.multiselect(
        "Beside it",
        list(others),
        max_selections=3,
        format_func=lambda key: others[key].variant.name,
        placeholder="Such as the one in float32",
        key=f"benchmark-beside-{point.run.id}-{point.variant.name}",
    )
    pause = camera.toggle(
        "Pause the camera", key="benchmark-pause", help="Its frames go unclassified meanwhile."
    )
    if go.button("Measure", icon=":material/speed:", width="stretch"):
        chosen = [point, *(others[key] for key in also)]
        models = [(p.variant.artifact or "", p.title) for p in chosen]
        try:
            opened.benchmarks.start(device, models, BenchmarkPlan(pause=pause))
        except SlimcastError as error:
            notices.error(error)


def _progress(opened: Studio, was_busy: bool) -> None:
    recent = opened.benchmarks.recent()
    is_busy = any(one.finished_at is None for one in recent)
    if was_busy and not is_busy:
        st.rerun()  # the figures are there: the whole page shows them
    for one in recent[:3]:
        names = ", ".join(name for _, name in one.models)
        if one.finished_at is None:
            st.caption(f":material/hourglass_top: {one.device} fetches and measures:")
            st.text(names)
        elif one.error:
            st.caption(f":material/error: {figures.ago(one.finished_at)}:")
            st.text(one.error)


def _table(opened: Studio, point: Point) -> None:
    rows = [
        {
            "at": local_time(one.at),
            "measured by": one.clock,
            "camera": one.camera,
            "p50, ms": one.p50_ms,
            "p90, ms": one.p90_ms,
            "p99, ms": one.p99_ms,
            "spread, ms": one.std_ms,
            "runs": one.runs,
            "RAM, MB": one.peak_rss_mb,
            "before, °C": one.temperature_before_c,
            "after, °C": one.temperature_after_c,
            "remarks": benchmarks.remarks(one),
        }
        for one in benchmarks.of_point(opened, point)
    ]
    if not rows:
        st.caption("No device has measured this variant yet.")
        return
    number = st.column_config.NumberColumn
    times = {f"{name}, ms": number(f"{name}, ms", format="%.3f") for name in ("p50", "p90", "p99", "spread")}
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        column_config={**times, "RAM, MB": number("RAM, MB", format="%.0f")},
    )

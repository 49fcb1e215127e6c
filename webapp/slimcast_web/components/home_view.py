"""What Home shows of runs, results and devices."""

import streamlit as st

from slimcast.records import Run
from slimcast_web.components import navigation, run_view
from slimcast_web.components.plain import plain
from slimcast_web.services import figures
from slimcast_web.services.home import Overview, Result


def ways() -> None:
    """Draw the three ways to start."""
    for column, (page, title, text, icon) in zip(st.columns(3), _WAYS, strict=True):
        with column.container(border=True, height="stretch"):
            navigation.link(page, title, icon=f":material/{icon}:")
            st.caption(text)


_WAYS = (
    (
        "compress",
        "Compress a model",
        "Choose network, data and how small; see the recipe; start.",
        "compress",
    ),
    (
        "tradeoffs",
        "Look at trade-offs",
        "What each variant costs and keeps, and which nothing else beats.",
        "balance",
    ),
    ("fleet", "Connect a camera", "A Raspberry Pi, or any machine with Linux and a camera.", "add_a_photo"),
)


def show(now: Overview) -> None:
    """Draw what runs, what came last, and which devices are there."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Running")
        for run in now.live:
            _live(run)
        if not now.live:
            st.caption("Nothing runs at the moment.")
        st.subheader("Last results")
        for result in now.results:
            _result(result)
        if not now.results:
            st.caption("No run has ended with a model yet.")
    with right:
        st.subheader("Devices")
        _devices(now)


def _live(run: Run) -> None:
    with st.container(border=True, key=f"home-run-{run.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            run_view.state_badge(run)
            navigation.link("runs", plain(run.name), run=run.id)
        st.progress(min(max(run.progress, 0.0), 1.0), text=f"{run.progress:.0%}")
        st.text(run.activity or "waiting for a free worker")


def _result(result: Result) -> None:
    with st.container(border=True, key=f"home-result-{result.run.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            navigation.link("tradeoffs", plain(result.run.name), icon=":material/balance:", run=result.run.id)
            st.caption(figures.ago(result.run.finished_at or result.run.created_at))
        st.text(_words(result))


def _words(result: Result) -> str:
    parts = []
    for name, how in (("accuracy", figures.percent), ("size_bytes", figures.size)):
        before, after = result.first.value(name), result.last.value(name)
        if before is not None and after is not None:
            parts.append(f"{how(before)} to {how(after)}")
    return f"{result.last.name}: {', '.join(parts)}" if parts else result.last.name


def _devices(now: Overview) -> None:
    st.metric("Online", f"{len(now.online)} of {len(now.devices)}")
    for device in now.devices[:8]:
        with st.container(horizontal=True, vertical_alignment="center"):
            word, colour = ("online", "green") if device.online else ("offline", "gray")
            st.badge(word, color=colour)
            st.text(device.name)
            st.caption(plain(device.reported.active_name) if device.reported else "")
    if not now.devices:
        st.caption("No camera has reported to this studio yet.")
    navigation.link("fleet", "All devices", icon=":material/router:")

"""Runs: all of them, and one in detail, live while it goes on."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.records import Run
from slimcast_web.components import navigation, notices, run_table, run_tables, run_view
from slimcast_web.services import figures, runs
from slimcast_web.services.runs import RunDetail
from slimcast_web.services.studio import Studio

REFRESH_S = 1.0


def show() -> None:
    """Render the page. ``?run=ID`` names the run that is shown in detail."""
    st.title("Runs")
    opened = notices.studio_or_stop()
    found = runs.newest(opened)
    if not found:
        notices.empty("No run yet. Start one on the Compress page.")
        navigation.link("compress", "Compress a network", icon=":material/compress:")
        return
    live = runs.any_live(found)
    # Only while something goes on does the page look again by itself.
    st.fragment(_body, run_every=REFRESH_S if live else None)(opened, live)


def _body(opened: Studio, was_live: bool) -> None:
    found = runs.newest(opened)
    chosen = run_table.show(found)
    try:
        detail = runs.detail(opened, chosen)
    except SlimcastError as error:
        notices.error(error)
        return
    _head(opened, detail)
    run_view.progress(detail)
    run_view.steps(detail.steps)
    run_view.curves(detail)
    st.subheader("Variants")
    run_view.variants(detail.variants)
    run_tables.show(detail.run, detail.tables)
    with st.expander("Log", expanded=True, icon=":material/notes:"):
        run_view.log(detail.log)
    with st.expander("Recipe", icon=":material/description:"):
        st.code(detail.run.recipe_yaml, language="yaml")
    if was_live and not runs.any_live(found):
        st.rerun()  # the whole page once more, without the timer


def _head(opened: Studio, detail: RunDetail) -> None:
    run = detail.run
    title, buttons = st.columns([3, 2], vertical_alignment="center")
    with title:
        st.subheader(run.name)
        with st.container(horizontal=True, vertical_alignment="center"):
            run_view.state_badge(run)
            st.caption(f"run {run.id} · started {figures.clock(run.started_at or run.created_at)}")
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        _actions(opened, run, bool(detail.variants))


def _actions(opened: Studio, run: Run, has_variants: bool) -> None:
    try:
        if runs.any_live([run]):
            if st.button("Cancel", icon=":material/stop:", disabled=run.cancel_requested):
                runs.cancel(opened, run.id)
                st.rerun()
        elif run.state.can_resume() and st.button("Resume", icon=":material/resume:", type="primary"):
            runs.resume(opened, run.id)
            st.rerun()
    except SlimcastError as error:
        notices.error(error)
    if st.button("Clone", icon=":material/content_copy:", help="Start a new recipe from this one."):
        navigation.go("compress", clone=run.id)
    if has_variants and st.button("See trade-offs", icon=":material/balance:"):
        navigation.go("tradeoffs", run=run.id)

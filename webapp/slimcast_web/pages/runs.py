"""Runs: all of them, and one in detail, live while it goes on."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.records import RunState
from slimcast.timing import local_time
from slimcast_web.components import (
    navigation,
    notices,
    run_actions,
    run_filter,
    run_table,
    run_tables,
    run_view,
)
from slimcast_web.services import run_pages, runs
from slimcast_web.services.runs import RunDetail
from slimcast_web.services.studio import Studio

REFRESH_S = 1.0


def show() -> None:
    """Render the page. ``?run=ID`` names the run that is shown in detail."""
    st.title("Runs")
    opened = notices.studio_or_stop()
    if run_pages.is_empty(opened):
        notices.empty("No run yet. Start one on the Compress page.")
        navigation.link("compress", "Compress a network", icon=":material/compress:")
        return
    live = run_pages.any_live(opened)
    # Only while something goes on does the page look again by itself.
    st.fragment(_body, run_every=REFRESH_S if live else None)(opened, live)


def _body(opened: Studio, was_live: bool) -> None:
    shown = run_pages.page(opened, *run_filter.show(opened))
    ticked = run_table.show(shown.lines) if shown.lines else []
    run_filter.pager(shown)
    run_actions.for_ticked(opened, ticked)
    if not shown.lines:
        notices.empty("No run is like that. Take something out of the filter.")
        return
    try:
        detail = runs.detail(opened, run_table.choose(opened, shown.lines))
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
    ended_well = detail.run.state is RunState.SUCCEEDED
    # A key for each state: a run that fails opens its log.
    run_view.log(detail.log, key=f"{detail.run.id}-{detail.run.state.value}", expanded=not ended_well)
    run_view.source("Recipe", detail.run.recipe_yaml, key=detail.run.id)
    if was_live and not run_pages.any_live(opened):
        st.rerun()  # the whole page once more, without the timer


def _head(opened: Studio, detail: RunDetail) -> None:
    run = detail.run
    title, buttons = st.columns([3, 2], vertical_alignment="center")
    with title:
        st.subheader(run.name)
        with st.container(horizontal=True, vertical_alignment="center"):
            run_view.state_badge(run)
            st.caption(f"run {run.id} · started {local_time(run.started_at or run.created_at)}")
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        run_actions.for_one(opened, run, bool(detail.variants))
    run_actions.tags(opened, run, detail.tags)

"""What can be done with runs: one that is shown, and several that are ticked."""

from collections.abc import Sequence

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.records import Run
from slimcast_web.components import navigation, notices
from slimcast_web.services import figures, run_pages, runs
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import MOST_RUNS

_DELETED = "runs-just-deleted"


def for_ticked(opened: Studio, ticked: Sequence[str]) -> None:
    """Show what can be done with the ticked runs, and the way back from the last deletion."""
    gone = st.session_state.get(_DELETED, [])
    if gone:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{figures.plural(len(gone), 'run')} deleted.")
            if st.button("Undo", icon=":material/undo:", key="runs-undo"):
                run_pages.restore(opened, gone)
                st.session_state[_DELETED] = []
                st.rerun()
    if not ticked:
        return
    with st.container(horizontal=True):
        if st.button("Compare", icon=":material/balance:", key="runs-compare"):
            navigation.go("tradeoffs", run=list(ticked[:MOST_RUNS]))
        if st.button(
            f"Delete {figures.plural(len(ticked), 'run')}", icon=":material/delete:", key="runs-delete"
        ):
            _delete(opened, list(ticked))


def for_one(opened: Studio, run: Run, has_variants: bool) -> None:
    """Show what can be done with the run that is shown in detail."""
    try:
        if run.deleted_at is not None:
            if st.button("Restore", icon=":material/restore_from_trash:", type="primary"):
                run_pages.restore(opened, [run.id])
                st.rerun()
        elif runs.any_live([run]):
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


def tags(opened: Studio, run: Run, have: Sequence[str]) -> None:
    """Show the tags of a run, to add to and to take from."""
    key = f"run-tags-{run.id}"
    if key not in st.session_state:
        st.session_state[key] = list(have)
    wanted = st.multiselect(
        "Tags",
        sorted({*opened.store.run_list.tags(), *st.session_state[key]}),
        key=key,
        accept_new_options=True,
        placeholder="Add a tag",
    )
    if set(wanted) == set(have):
        return
    try:
        run_pages.set_tags(opened, run.id, wanted)
    except SlimcastError as error:
        notices.error(error)
        return
    st.rerun()


def _delete(opened: Studio, run_ids: list[str]) -> None:
    try:
        run_pages.delete(opened, run_ids)
    except SlimcastError as error:
        notices.error(error)
        return
    st.session_state[_DELETED] = run_ids
    st.rerun()

"""Search: have the best recipes under budgets looked for, and see what has been found."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.records import Search
from slimcast_web.components import navigation, notices, run_view, search_editor, search_view
from slimcast_web.services import search
from slimcast_web.services.studio import Studio

REFRESH_S = 2.0


def show() -> None:
    """Render the page. ``?search=ID`` names the search that is shown."""
    st.title("Search")
    st.caption(
        "Try many recipes and keep those that nothing beats: criterion, ratios, bits, distillation. "
        "Each trial is an ordinary run."
    )
    opened = notices.studio_or_stop()
    notices.problems(opened)
    found = search.newest(opened)
    with st.expander("New search", expanded=not found, icon=":material/add:"):
        text = search_editor.show()
        if text is not None:
            _start(opened, text)
    if not found:
        notices.empty("No search yet. Start the example above, or change it first.")
        return
    chosen = search_view.choose(found)
    live = any(search.is_live(one) for one in found)
    # Only while something goes on does the page look again by itself.
    st.fragment(_body, run_every=REFRESH_S if live else None)(opened, chosen, live)


def _body(opened: Studio, chosen: str, was_live: bool) -> None:
    try:
        detail = search.detail(opened, chosen)
    except SlimcastError as error:
        notices.error(error)
        return
    search_view.head(detail.search)
    _actions(opened, detail.search)
    search_view.verdict(detail)
    search_view.plot(detail)
    st.subheader("Trials")
    search_view.table(detail)
    run_view.log(detail.log, key=detail.search.id)
    run_view.source("Search file", detail.search.search_yaml, key=detail.search.id)
    if was_live and not any(search.is_live(one) for one in search.newest(opened)):
        st.rerun()  # the whole page once more, without the timer


def _actions(opened: Studio, found: Search) -> None:
    try:
        if search.is_live(found):
            if st.button("Cancel", icon=":material/stop:", disabled=found.cancel_requested):
                search.cancel(opened, found.id)
                st.rerun()
        elif found.state.can_resume() and st.button("Resume", icon=":material/resume:", type="primary"):
            search.resume(opened, found.id)
            st.rerun()
    except SlimcastError as error:
        notices.error(error)


def _start(opened: Studio, text: str) -> None:
    try:
        started = search.start(opened, text)
    except SlimcastError as error:
        notices.error(error)
        return
    navigation.go("search", search=started.id)

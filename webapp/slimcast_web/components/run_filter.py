"""Which runs the list shows: text, state, tag, deleted ones; and which page of them."""

import streamlit as st

from slimcast.records import RunState
from slimcast.store.run_list import RunFilter
from slimcast_web.services.run_pages import RunPage
from slimcast_web.services.studio import Studio

_PAGE = "runs-page"
_ANY = ""


def show(opened: Studio) -> tuple[RunFilter, int]:
    """Show the boxes; return what is wanted, and the index of the page."""
    text, state, tag, deleted = st.columns([4, 4, 3, 2], vertical_alignment="bottom")
    tags = opened.store.run_list.tags()
    if st.session_state.get("runs-tag", _ANY) not in [_ANY, *tags]:
        st.session_state["runs-tag"] = _ANY
    wanted = RunFilter(
        text=text.text_input(
            "Find",
            key="runs-text",
            placeholder="Name, or beginning of an id",
            max_chars=100,
            on_change=_first,
        ).strip(),
        states=tuple(
            state.multiselect(
                "State",
                list(RunState),
                key="runs-state",
                placeholder="Any",
                format_func=lambda one: one.value,
                on_change=_first,
            )
        ),
        tag=tag.selectbox(
            "Tag", [_ANY, *tags], key="runs-tag", format_func=lambda one: one or "Any", on_change=_first
        ),
        deleted=deleted.toggle("Deleted", key="runs-deleted", on_change=_first),
    )
    return wanted, st.session_state.get(_PAGE, 0)


def pager(shown: RunPage) -> None:
    """Show which page this is, and the way to the others."""
    st.session_state[_PAGE] = shown.index
    with st.container(horizontal=True, vertical_alignment="center"):
        noun = "run" if shown.total == 1 else "runs"
        st.caption(f"{shown.total:,} {noun} · page {shown.index + 1} of {shown.pages}")
        if shown.pages > 1:
            _step("Newer", ":material/chevron_left:", shown.index - 1, shown.index == 0)
            _step("Older", ":material/chevron_right:", shown.index + 1, shown.index + 1 == shown.pages)


def _step(label: str, icon: str, to: int, disabled: bool) -> None:
    st.button(label, icon=icon, key=f"runs-{label}", disabled=disabled, on_click=_go, args=(to,))


def _go(index: int) -> None:
    st.session_state[_PAGE] = index


def _first() -> None:
    _go(0)
    st.query_params.pop("run", None)  # what was shown may not be among those that are wanted now

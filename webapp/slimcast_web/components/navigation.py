"""Going from page to page, and what the address says: links that can be sent to somebody work."""

from typing import Any

import streamlit as st

_PAGES = "slimcast-pages"


def register(pages: dict[str, Any]) -> None:
    """Remember this session's pages by name; the main script calls this at each run."""
    st.session_state[_PAGES] = pages


def parameter(name: str) -> str:
    """Return a query parameter, "" when it is not there."""
    return st.query_params.get(name, "")


def flag(name: str) -> bool:
    """Return whether a query parameter is set to something like yes."""
    return parameter(name).lower() in {"1", "true", "yes"}


def remember(name: str, value: str) -> None:
    """Put what is being looked at into the address."""
    if value and st.query_params.get(name) != value:
        st.query_params[name] = value
    elif not value and name in st.query_params:
        del st.query_params[name]


def follow_address(name: str, key: str, options: list[str], *, several: bool = False) -> None:
    """Set a widget from the address where that names something new, else to the first option if it has none.

    Call it before the widget of that `key`, and `show_in_address` after it.
    """
    state, named = st.session_state, parameter(name)
    if named in options and (named != state.get(f"{key}-address") or key not in state):
        state[key] = [named] if several else named
    chosen = state.get(key)
    if several and chosen is not None:
        state[key] = [option for option in chosen if option in options]
    elif chosen not in options:
        state[key] = options[:1] if several else options[0]


def show_in_address(name: str, key: str, value: str) -> None:
    """Put what a widget has chosen into the address."""
    st.session_state[f"{key}-address"] = value
    remember(name, value)


def go(page: str, **parameters: str | list[str]) -> None:
    """Leave for another page."""
    st.switch_page(st.session_state[_PAGES][page], query_params=parameters)


def link(page: str, label: str, *, icon: str | None = None, **parameters: str) -> None:
    """Show a link to another page; nothing where that page does not exist (a page tested on its own)."""
    target = st.session_state.get(_PAGES, {}).get(page)
    if target is not None:
        st.page_link(target, label=label, icon=icon, query_params=parameters or None)

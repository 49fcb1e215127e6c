"""The search as YAML, with an example to start from and everything that is wrong with it."""

import streamlit as st

from slimcast_web.services import search

_TEXT, _KEPT, _EXAMPLE = "search-yaml", "search-kept", "search-example"


def show() -> str | None:
    """Show the editor. Return its text when somebody starts the search, else None."""
    state = st.session_state
    names = list(search.examples())
    if _TEXT not in state:
        # Streamlit forgets a widget's value when another page is shown; this remembers.
        state[_TEXT] = state.get(_KEPT) or (search.examples()[names[0]] if names else "")
    if names:
        st.selectbox(
            "Start from an example",
            names,
            index=None,
            key=_EXAMPLE,
            placeholder="Your own text",
            on_change=_load_example,
        )
    text: str = st.text_area("Search (YAML)", key=_TEXT, height=460)
    state[_KEPT] = text
    problems = search.problems(text)
    if problems:
        count = "one error" if len(problems) == 1 else f"{len(problems)} errors"
        st.error(f"The search has {count}; it cannot start.", icon=":material/error:")
        st.code("\n".join(f"{path or 'search'}: {message}" for path, message in problems), language=None)
    if st.button("Start search", type="primary", icon=":material/search:", disabled=bool(problems)):
        return text
    return None


def _load_example() -> None:
    text = search.examples().get(st.session_state[_EXAMPLE] or "")
    if text is not None:
        st.session_state[_TEXT] = text

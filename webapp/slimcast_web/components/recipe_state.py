"""The recipe that a visitor is writing: one text in the session, which every form reads and writes.

Widgets hold nothing of their own: before each is drawn its value is set from the text, so the last change
counts, wherever it was made.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

from slimcast_web.services import recipe_text
from slimcast_web.services.compress import yaml_of
from slimcast_web.services.dial import recommended

TEXT_KEY = "recipe-yaml"
_KEPT = "recipe-kept"
_LATER = "recipe-later"


def begin(start_from: str | None = None) -> None:
    """Make sure that there is a recipe; `start_from` replaces what was there."""
    if start_from is not None:
        load(start_from)
    elif TEXT_KEY not in st.session_state:
        # Streamlit forgets a widget's value when another page is shown; this remembers.
        load(st.session_state.get(_KEPT) or yaml_of(recommended("lenet5", "digits")))


def text() -> str:
    """Return the recipe."""
    current: str = st.session_state[TEXT_KEY]
    st.session_state[_KEPT] = current
    return current


def load(recipe: str) -> None:
    """Replace the recipe; in a callback, or before its text box is drawn."""
    st.session_state[TEXT_KEY] = recipe
    st.session_state[_KEPT] = recipe


def document() -> dict[str, Any] | None:
    """Return the recipe as plain data; None where its text is no mapping."""
    return recipe_text.read(st.session_state.get(TEXT_KEY, st.session_state.get(_KEPT, "")))


def change(how: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the recipe as plain data; nothing happens while its text is no mapping."""
    current = document()
    if current is not None:
        load(recipe_text.write(how(current)))


def put(path: str, value: Any) -> None:
    """Set one field; None takes it away."""
    change(lambda current: recipe_text.put(current, path, value))


def later(how: Callable[[str], str]) -> None:
    """Change the recipe when the page runs next: for what is found out below the forms."""
    st.session_state.setdefault(_LATER, []).append(how)


def catch_up() -> None:
    """Do what `later` has asked for; before any widget is drawn."""
    for how in st.session_state.pop(_LATER, []):
        load(how(text()))

"""The recipe as text: edited, uploaded, downloaded. What is wrong with it at large is said here."""

import streamlit as st

from slimcast_web.components import recipe_state
from slimcast_web.services import recipe_text
from slimcast_web.services.recipe_text import MAX_BYTES

_FILE, _REFUSED = "recipe-file", "recipe-file-refused"


def show() -> None:
    """Draw the text box, and the two ways of a file."""
    state = st.session_state
    st.text_area(
        "Recipe (YAML)",
        key=recipe_state.TEXT_KEY,
        height=470,
        max_chars=MAX_BYTES,
        help="The same recipe as text: the forms follow what it says. A change in a form drops comments.",
    )
    name = recipe_text.get(recipe_state.document(), "name")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            "Download",
            recipe_state.text(),
            file_name=f"{_safe(name)}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            key="recipe-download",
        )
        with st.popover("Upload", icon=":material/upload:"):
            st.file_uploader(
                "Recipe file", type=["yaml", "yml"], key=_FILE, max_upload_size=1, on_change=_uploaded
            )
            if state.get(_REFUSED):
                st.error(state[_REFUSED], icon=":material/error:")


def _uploaded() -> None:
    file = st.session_state[_FILE]
    st.session_state[_REFUSED] = ""
    if file is None:
        return
    if file.size > MAX_BYTES:
        st.session_state[_REFUSED] = f"A recipe has at most {MAX_BYTES // 1024} kB; this file is larger."
        return
    try:
        recipe_state.load(file.getvalue().decode("utf-8"))
    except UnicodeDecodeError:
        st.session_state[_REFUSED] = "This file is no text in UTF-8, which a recipe must be."


def _safe(name: object) -> str:
    kept = "".join(c for c in str(name or "") if c.isascii() and (c.isalnum() or c in "_.-"))
    return kept[:100] or "recipe"

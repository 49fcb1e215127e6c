"""Upload weights; they become what the recipe's network begins with."""

from pathlib import Path
from typing import IO

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import notices, recipe_state
from slimcast_web.services import datasets, dial, weights
from slimcast_web.services.studio import Studio


def show(opened: Studio, *, key: str = "weights-upload") -> None:
    """Show the form; a file that was added is told until the next one."""
    with st.expander("Upload weights", icon=":material/upload:"):
        st.caption(
            "A safetensors file for the chosen network, with its parameter names. A head for another number "
            "of classes is replaced. PyTorch's own files can hold code and are not taken."
        )
        file = st.file_uploader(
            "Weights", type=["safetensors"], key=f"{key}-file", max_upload_size=datasets.MAX_UPLOAD_MB
        )
        name = st.text_input(
            "Name of the weights",
            key=f"{key}-name",
            placeholder=Path(file.name).stem if file else "letters, digits, _ . -",
        )
        replace = st.toggle("Replace weights of this name", key=f"{key}-replace")
        if st.button("Add the weights", key=f"{key}-add", disabled=file is None) and file is not None:
            st.session_state.pop(f"{key}-added", None)
            _add(opened, file, name or Path(file.name).stem, replace=replace, key=key)
        if f"{key}-added" in st.session_state:
            added = st.session_state[f"{key}-added"]
            st.success(f"{added.tensors:,} tensors with {added.values:,} values.", icon=":material/check:")
            st.code(f"weights: {added.path}", language="yaml")


def _add(opened: Studio, file: IO[bytes], name: str, *, replace: bool, key: str) -> None:
    try:
        added = weights.upload(opened, file, name, replace=replace)
    except SlimcastError as error:
        notices.error(error)
        return
    st.session_state[f"{key}-added"] = added
    recipe_state.later(lambda text: dial.with_weights(text, added.path))
    st.rerun()

"""Upload a zip of images; the set becomes the data of the recipe."""

from pathlib import Path
from typing import IO, Literal

import streamlit as st

from slimcast.data.upload import Upload
from slimcast.errors import SlimcastError
from slimcast_web.components import notices, recipe_state
from slimcast_web.services import datasets, dial
from slimcast_web.services.studio import Studio

_SHOWN_REFUSALS = 1000
_FEW_LINES = 8


def show(opened: Studio, *, key: str = "data-upload") -> None:
    """Show the form; a set that was added is told until the next one."""
    with st.expander("Upload your own images", icon=":material/upload:"):
        st.caption(
            "A zip with train/CLASS and test/CLASS, or a folder for each class alone. Names of folders "
            "are the labels."
        )
        archive = st.file_uploader(
            "Zip of images", type=["zip"], key=f"{key}-file", max_upload_size=datasets.MAX_UPLOAD_MB
        )
        name = st.text_input(
            "Name of the data set",
            key=f"{key}-name",
            placeholder=Path(archive.name).stem if archive else "letters, digits, _ . -",
        )
        replace = st.toggle("Replace a data set of this name", key=f"{key}-replace")
        if st.button("Add the data set", key=f"{key}-add", disabled=archive is None) and archive is not None:
            st.session_state.pop(f"{key}-added", None)
            _add(opened, archive, name or Path(archive.name).stem, replace=replace, key=key)
        if f"{key}-added" in st.session_state:
            _tell(st.session_state[f"{key}-added"])


def _add(opened: Studio, archive: IO[bytes], name: str, *, replace: bool, key: str) -> None:
    bar = st.progress(0.0, "Unpacking and checking each image")
    try:
        added = datasets.upload(opened, archive, name, replace=replace, progress=bar.progress)
    except SlimcastError as error:
        notices.error(error)
        return
    finally:
        bar.empty()
    st.session_state[f"{key}-added"] = added
    recipe_state.later(lambda text: dial.for_folder(text, added.path))
    st.rerun()


def _tell(added: Upload) -> None:
    st.success(
        f"{added.images:,} images of {len(added.labels):,} classes are the data now.", icon=":material/check:"
    )
    st.code(f"data: {{name: folder, path: {added.path}}}", language="yaml")
    if added.refused:
        count = "1 file was" if len(added.refused) == 1 else f"{len(added.refused):,} files were"
        st.warning(f"{count} not taken:", icon=":material/warning:")
        lines = [f"{item.name} {item.reason}" for item in added.refused[:_SHOWN_REFUSALS]]
        more = len(added.refused) - len(lines)
        st.code(
            "\n".join(lines + ([f"and {more:,} more"] if more else [])),
            language=None,
            height=_height(len(lines)),
        )


def _height(lines: int) -> int | Literal["content"]:
    """Return the height of a box of lines, pixels; it scrolls only when there are many."""
    return "content" if lines <= _FEW_LINES else 240

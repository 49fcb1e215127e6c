"""Settings: how this studio is set up, and what says so; read only but for what deleted runs hold."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import disk_panel, notices, sign_in_view
from slimcast_web.services import figures, installation
from slimcast_web.services.studio import Studio


def show() -> None:
    """Render the page."""
    st.title("Settings")
    st.caption("Settings come from the environment when the studio starts; each says from which variable.")
    opened = notices.studio_or_stop()
    notices.problems(opened)
    _places(opened)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Sign-in")
        sign_in_view.show(opened)
        st.subheader("Signing key")
        _key(opened)
    with right:
        st.subheader("Storage")
        _storage(opened)
        disk_panel.show(opened)
        st.subheader("Versions")
        st.dataframe(
            [{"what": name, "version": text} for name, text in installation.versions().items()],
            hide_index=True,
            width="stretch",
        )


def _places(opened: Studio) -> None:
    rows = [
        {"setting": place.title, "value": place.value, "set by": place.variable}
        for place in installation.places(opened)
    ]
    st.dataframe(rows, hide_index=True, width="stretch", height="content", key="settings-places")
    st.caption(f"The broker: {installation.broker_note(opened)}.")


def _key(opened: Studio) -> None:
    try:
        fingerprint = installation.key_fingerprint(opened)
    except SlimcastError as error:
        notices.error(error)
        return
    st.code(fingerprint, language=None)
    st.caption(
        f"Fingerprint of the key in {opened.settings.keys_folder}, which signs whatever is published. "
        "Cameras show the same one. Keep a copy of that folder: without the key every camera must be "
        "enrolled again."
    )


def _storage(opened: Studio) -> None:
    if not st.toggle("Count what is stored", key="settings-storage"):
        st.caption("Folders with many files take a moment.")
        return
    with st.spinner("Counting"):
        found = installation.storage(opened)
    st.dataframe(
        [
            {
                "what": one.title,
                "size": figures.size(one.size_bytes),
                "files": f"{one.files:,}" + ("" if one.complete else " and more"),
                "where": one.place,
            }
            for one in found
        ],
        hide_index=True,
        width="stretch",
        key="settings-stored",
    )

"""How much deleted runs still hold, and the button that frees it."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import notices
from slimcast_web.services import disk, figures
from slimcast_web.services.studio import Studio


def show(studio: Studio) -> None:
    """Show what deleted runs hold; freeing it has to be confirmed."""
    days = st.number_input("Runs that were deleted at least so many days ago", 0, 3650, 7, 1, key="disk-days")
    try:
        found = disk.look(studio, days)
        st.text(disk.summary(found))
        with st.popover("Free the disk", disabled=not found.runs, icon=":material/delete_forever:"):
            st.text("These runs and their figures cannot come back then. What is deployed stays.")
            if st.button("Delete them for good", type="primary", key="disk-free"):
                freed = disk.free(studio, days)
                st.session_state["disk-freed"] = figures.size(freed.size_bytes)
                st.rerun()
    except SlimcastError as error:
        notices.error(error)
    if freed := st.session_state.pop("disk-freed", ""):
        st.success(f"Freed {freed}.", icon=":material/delete_forever:")

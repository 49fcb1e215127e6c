"""What one device ran and when, and the way back to its former model."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.records import Device
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import fleet, registry, wellbeing
from slimcast_web.services.studio import Studio


def show(studio: Studio, device: Device) -> None:
    """Show the history and what the device has told, closed at first, with a button to roll back."""
    name = device.name
    panel = st.expander(
        f"History and rollback of {name}", icon=":material/history:", key=f"history-{name}", on_change="rerun"
    )
    if not panel.open:
        return
    with panel:
        rows = [
            {
                "at": local_time(entry.at),
                "state": entry.state.replace("_", " "),
                "model": entry.name or "none",
                "why": entry.message or entry.reason,
                "revision": str(entry.revision),
            }
            for entry in registry.history(studio, name)
        ]
        if rows:
            st.dataframe(rows, hide_index=True, width="stretch")
        else:
            st.caption("Nothing has been noted of it yet.")
        if st.button("Roll back", key=f"rollback-{name}", icon=":material/undo:", disabled=not device.online):
            try:
                fleet.rollback(studio, name)
            except SlimcastError as error:
                notices.error(error)
        told = wellbeing.events(device)
        if told:
            st.caption("What it has told since the studio started:")
            st.dataframe(told, hide_index=True, width="stretch")

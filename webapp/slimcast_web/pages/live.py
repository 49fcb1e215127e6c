"""Live: the wall of cameras."""

import streamlit as st

from slimcast_web.components import live_wall, navigation, notices
from slimcast_web.services import fleet


def show() -> None:
    """Render the page. ``?kiosk=1`` shows nothing but the pictures, ``?device=NAME`` only one of them."""
    kiosk = navigation.flag("kiosk")
    chosen = navigation.parameter("device")
    if kiosk:
        live_wall.show([chosen] if chosen else [], kiosk=True)
        return
    head, tools = st.columns([4, 1], vertical_alignment="bottom")
    head.title("Live")
    opened = notices.studio_or_stop()
    notices.broker(opened)
    names = fleet.device_names(opened)
    if not names:
        st.info("No camera has reported to this studio yet. The Fleet page says how to connect one.")
        navigation.link("fleet", "Connect a camera", icon=":material/router:")
    with tools.popover("View", icon=":material/grid_view:", width="stretch"):
        picked = st.multiselect(
            "Cameras",
            names,
            default=[chosen] if chosen in names else [],
            placeholder="All cameras",
            key="live-cameras",
        )
        st.link_button("Full screen", "/live?kiosk=1", icon=":material/fullscreen:", width="stretch")
        st.caption(
            "Enter or a double click enlarges a picture, Escape goes back. Other tools find each camera "
            "under /api/live/NAME.mjpg and /api/live/NAME.jpg."
        )
    live_wall.show(picked)

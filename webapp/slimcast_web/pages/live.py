"""Live: the wall of cameras."""

import streamlit as st

from slimcast_web.components import live_choice, live_wall, navigation, notices, snapshot_panel
from slimcast_web.services import fleet, live


def show() -> None:
    """Render the page. ``?kiosk=1`` shows nothing but the pictures, ``?device=cam1,cam2`` only those."""
    if navigation.flag("kiosk"):
        live_wall.show(live.named(navigation.parameter("device")), kiosk=True)
        return
    head, tools = st.columns([4, 1], vertical_alignment="bottom")
    head.title("Live")
    opened = notices.studio_or_stop()
    notices.broker(opened)
    names = fleet.device_names(opened)
    if not names:
        st.info("No camera has reported to this studio yet. The Fleet page says how to connect one.")
        navigation.link("fleet", "Connect a camera", icon=":material/router:")
    with tools:
        picked = live_choice.show(live.sources(opened.hub))
    live_wall.show(picked)
    for device in fleet.devices(opened):
        if picked and set(picked) <= {device.name, *device.sources}:
            snapshot_panel.show(opened, device)

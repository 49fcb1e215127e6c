"""Live: the wall of cameras."""

import streamlit as st

from slimcast.fleet.records import split_source
from slimcast_web.components import (
    compare_choice,
    live_choice,
    live_wall,
    navigation,
    notices,
    snapshot_panel,
)
from slimcast_web.services import fleet, live


def show() -> None:
    """Render the page. ``?kiosk=1`` shows nothing but the pictures, ``?device=cam1,cam2`` only those.

    ``?compare=cam1&run=ID&variant=NAME`` lets that variant answer beside the model that cam1 runs.
    """
    if navigation.flag("kiosk"):
        named = live.named(navigation.parameter("device"))
        second = (
            compare_choice.from_address(notices.studio_or_stop()) if navigation.parameter("compare") else {}
        )
        live_wall.show(named, kiosk=True, compare=second)
        return
    head, compare, tools = st.columns([4, 1, 1], vertical_alignment="bottom")
    head.title("Live")
    opened = notices.studio_or_stop()
    notices.broker(opened)
    names = fleet.device_names(opened)
    if not names:
        st.info("No camera has reported to this studio yet. The Fleet page says how to connect one.")
        navigation.link("fleet", "Connect a camera", icon=":material/router:")
    with compare:
        second = compare_choice.show(opened, names)
    with tools:
        picked = live_choice.show(live.sources(opened.hub))
    shown = {split_source(name)[0] for name in picked} or set(second)
    live_wall.show(picked, compare={name: model for name, model in second.items() if name in shown})
    for device in fleet.devices(opened):
        if picked and set(picked) <= {device.name, *device.sources}:
            snapshot_panel.show(opened, device)

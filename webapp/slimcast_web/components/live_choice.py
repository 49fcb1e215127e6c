"""Which cameras the wall shows; the address holds the choice."""

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from slimcast_web.components import navigation
from slimcast_web.services import live

_KEY = "live-cameras"


def show(known: Sequence[str]) -> list[str]:
    """Show the choice, closed; return the chosen cameras, none of them meaning all.

    A camera that the address names may be one that has not reported yet, as after a restart of the studio.
    """
    named = live.named(navigation.parameter("device"))
    st.session_state.setdefault(_KEY, named)
    with st.popover("View", icon=":material/grid_view:", width="stretch"):
        picked: list[str] = st.multiselect(
            "Cameras",
            sorted({*known, *named}),
            placeholder="All cameras",
            key=_KEY,
            max_selections=live.MAX_DEVICES,
        )
        chosen = ",".join(picked)
        navigation.remember("device", chosen)
        shown = {name: navigation.parameter(name) for name in ("device", "compare", "run", "variant")}
        kept = {name: value for name, value in shown.items() if value}
        address = "/live?" + urlencode({"kiosk": 1} | kept, safe=",")
        st.link_button("Open as a kiosk", address, icon=":material/tv:", width="stretch")
        st.caption(
            "A kiosk shows these pictures and nothing else, for a screen on a wall. On a picture, Enter or a "
            "double click fills the screen, Escape goes back, Space pauses. Other tools find each camera "
            "under /api/live/NAME.mjpg and /api/live/NAME.jpg; one of several cameras of a device is "
            "DEVICE/CAMERA."
        )
    return picked

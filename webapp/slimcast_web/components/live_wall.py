"""The live wall: one custom element that draws all cameras from one WebSocket."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_SCRIPTS = ("live_parts.js", "live_history.js", "live_tile.js", "live_wall.js")
STATIC = Path(__file__).parent.parent / "static"


def show(devices: Sequence[str] = (), *, kiosk: bool = False, key: str = "live-wall") -> None:
    """Show these cameras, or all there are when none is named; `kiosk` fills the whole window."""
    if kiosk:
        st.html(STATIC / "kiosk.css")
    _component()(key=key, data={"devices": list(devices), "kiosk": kiosk})


@cache
def _component() -> Any:
    return st.components.v2.component(
        "slimcast_live_wall",
        css=(STATIC / "live_wall.css").read_text(encoding="utf-8"),
        # One module, since a component's script can import none of its neighbours.
        js="\n".join((STATIC / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )

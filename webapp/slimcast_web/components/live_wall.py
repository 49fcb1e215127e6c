"""The live wall: one custom element that draws all cameras from one WebSocket."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import streamlit as st

from slimcast_web.services.comparing import SecondModel

_SCRIPTS = ("live_parts.js", "live_history.js", "live_compare.js", "live_tile.js", "live_wall.js")
_STYLES = ("live_wall.css", "live_compare.css")
STATIC = Path(__file__).parent.parent / "static"


def show(
    devices: Sequence[str] = (),
    *,
    kiosk: bool = False,
    compare: Mapping[str, SecondModel] = MappingProxyType({}),
    key: str = "live-wall",
) -> None:
    """Show these cameras, or all there are when none is named.

    Args:
        devices: names of cameras.
        kiosk: fill the whole window.
        compare: by camera, a second model that is to answer beside its own.
        key: of the component.

    """
    if kiosk:
        st.html(STATIC / "kiosk.css")
    second = {name: asdict(model) for name, model in compare.items()}
    data = {"devices": list(devices), "kiosk": kiosk, "compare": second}
    _component()(key=key, data=data)


@cache
def _component() -> Any:
    return st.components.v2.component(
        "slimcast_live_wall",
        css="\n".join((STATIC / name).read_text(encoding="utf-8") for name in _STYLES),
        # One module, since a component's script can import none of its neighbours.
        js="\n".join((STATIC / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )

"""The pictures of a device: take one, fetch those that it has kept, look and download."""

import html

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.records import Device
from slimcast.timing import local_time
from slimcast_web.components import camera_choice, notices
from slimcast_web.services import figures, streaming
from slimcast_web.services.streaming import Picture
from slimcast_web.services.studio import Studio

_SHOWN = 6
_IN_A_ROW = 3


def show(studio: Studio, device: Device) -> None:
    """Show the panel, closed; nothing of it is made until it is opened."""
    key = f"pictures-{device.name}"
    panel = st.expander(
        f"Pictures of {device.name}", icon=":material/photo_camera:", key=key, on_change="rerun"
    )
    if not panel.open:
        return
    with panel:
        _buttons(studio, device)
        taken = streaming.pictures(studio, device.name)[:_SHOWN]
        if not taken:
            notices.empty("No picture has come from this device since the studio started.")
        columns = st.columns(_IN_A_ROW)
        for index, picture in enumerate(taken):
            with columns[index % _IN_A_ROW]:
                _show(device.name, picture)


def _buttons(studio: Studio, device: Device) -> None:
    camera = camera_choice.show(device, "pictures")
    outcome = f"pictures-said-{device.name}"
    with st.container(horizontal=True):
        take = st.button(
            "Take a picture", key=f"take-{device.name}", icon=":material/photo_camera:",
            disabled=not device.online,
        )  # fmt: skip
        fetch = st.button(
            "Fetch the kept ones", key=f"fetch-{device.name}", icon=":material/download:",
            disabled=not device.online,
        )  # fmt: skip
    try:
        if take:
            st.session_state[outcome] = f"Frame {streaming.take(studio, device.name, camera)} was taken."
        if fetch:
            count = streaming.fetch(studio, device.name)
            st.session_state[outcome] = (
                f"{figures.plural(count, 'picture')} on the way." if count else "The device has kept none."
            )
    except SlimcastError as error:
        st.session_state[outcome] = error
    said = st.session_state.get(outcome)
    if isinstance(said, SlimcastError):
        notices.error(said)
    elif said:
        st.caption(said)


def _show(device: str, picture: Picture) -> None:
    # The browser decodes it, not the studio: what a device sends as a JPEG may be anything.
    address = streaming.address(device, picture)
    when = local_time(picture.taken_at)
    if picture.camera:
        when = f"{picture.camera}, {when}"
    words_html, address_html = html.escape(f"{device}, {when}"), html.escape(address)
    st.html(f'<img src="{address_html}" alt="{words_html}" style="width: 100%; border-radius: 0.25rem">')
    st.caption(when)
    if picture.label:
        st.text(picture.label)
    st.link_button("Download", f"{address}?download=1", icon=":material/download:", width="stretch")

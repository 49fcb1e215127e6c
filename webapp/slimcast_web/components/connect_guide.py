"""How a camera is connected to this studio."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.settings import is_loopback
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import fleet, qr
from slimcast_web.services.fleet import Connect
from slimcast_web.services.studio import Studio


def enrol(studio: Studio) -> None:
    """Make a one-time code for a new camera, and show what to type there."""
    with st.form("enrol", border=False):
        name, button = st.columns([4, 2], vertical_alignment="bottom")
        device = name.text_input("Name of the camera", max_chars=64, placeholder="cam1", key="enrol-name")
        wanted = button.form_submit_button("Make a one-time code", icon=":material/key:", width="stretch")
    if not wanted:
        return
    try:
        made = fleet.new_code(studio, device)
    except SlimcastError as error:
        notices.error(error)
        return
    command = made.command(fleet.studio_address(st.context.url, studio))
    text, picture = st.columns([3, 1], vertical_alignment="top")
    text.code(command, language="bash", wrap_lines=True)
    picture.image(qr.svg(command), caption="The command as a QR code", width=180)
    if is_loopback(studio.settings.host):
        text.caption(
            "This studio answers on its own machine only. For cameras elsewhere, start it with "
            "SLIMCAST_HOST=0.0.0.0."
        )
    text.caption(
        f"Run this on the camera's machine before {local_time(made.expires_at)}, with `--config FILE` where "
        "its client has a settings file. The code works once; it gives the camera the studio's key, the "
        "broker's address and, where the studio keeps any, a password."
    )


def show(connect: Connect) -> None:
    """Show the commands, with this studio's broker, site and key in them."""
    st.markdown("On the camera's machine (Raspberry Pi OS, or any Linux with Python 3.11 or newer):")
    st.code(connect.commands, language="bash", wrap_lines=True)
    if connect.needs_user:
        st.caption("The broker asks for a user, so the camera needs a one-time code, which brings it one.")
        return
    st.caption(
        "The key makes the camera take orders from this studio only. "
        f"Its fingerprint is {connect.key_fingerprint}; the camera shows the same one."
    )
    if connect.only_here:
        st.caption(
            "The studio's own broker takes connections from this machine only. For cameras elsewhere, run "
            "Mosquitto and start the studio with SLIMCAST_BROKER_URL=mqtt://HOST:1883."
        )

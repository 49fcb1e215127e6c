"""How a camera is connected to this studio."""

import streamlit as st

from slimcast_web.services.fleet import Connect


def show(connect: Connect) -> None:
    """Show the commands, with this studio's broker, site and key in them."""
    st.markdown("On the camera's machine (Raspberry Pi OS, or any Linux with Python 3.11 or newer):")
    st.code(connect.commands, language="bash", wrap_lines=True)
    st.caption(
        "The key makes the camera take orders from this studio only. "
        f"Its fingerprint is {connect.key_fingerprint}; the camera shows the same one."
    )
    if connect.only_here:
        st.caption(
            "The studio's own broker takes connections from this machine only. For cameras elsewhere, run "
            "Mosquitto and start the studio with SLIMCAST_BROKER_URL=mqtt://HOST:1883."
        )

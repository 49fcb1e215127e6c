"""Who may come in, and who has."""

import streamlit as st

from slimcast_web.services.installation import masked_token
from slimcast_web.services.studio import Studio


def show(opened: Studio) -> None:
    """Show how visitors sign in: with an identity provider, the token, or not at all."""
    settings = opened.settings
    if settings.allowed_users:
        st.text(f"Visitors sign in with the identity provider. Allowed: {settings.allowed_users}")
        st.caption("Set by SLIMCAST_ALLOWED_USERS, and the [auth] section of Streamlit's secrets.toml.")
        st.link_button("Sign out", "/auth/logout", icon=":material/logout:")
    if not settings.token:
        if not settings.allowed_users:
            st.text("No sign-in: only this machine can reach the studio.")
            st.caption(
                "With SLIMCAST_HOST set to another address, a token is asked for. Set by SLIMCAST_TOKEN."
            )
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    visible = right.toggle("Show the token", key="settings-token")
    with left:
        st.caption("Token: whoever has it can do everything here. Programs send it as a bearer token.")
        st.code(settings.token if visible else masked_token(settings.token), language=None)
    st.caption("Set by SLIMCAST_TOKEN; without it, a new one is made at each start.")

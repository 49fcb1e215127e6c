"""Models that no device shall get any more: which, who runs them still, and how to withdraw one."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import notices
from slimcast_web.services import figures, fleet
from slimcast_web.services.studio import Studio


def show(studio: Studio) -> None:
    """Show what is withdrawn, and the form."""
    with st.expander("Withdrawn models", icon=":material/block:"):
        try:
            _list(studio)
            _form(studio)
        except SlimcastError as error:
            notices.error(error)


def _list(studio: Studio) -> None:
    found = fleet.withdrawn(studio)
    if not found:
        st.caption("None. A withdrawn model is published to no device, and served to none.")
    for one in found:
        text, button = st.columns([5, 2], vertical_alignment="center")
        runs = f"On: {', '.join(one.devices)}" if one.devices else "On no device that is known."
        text.text(
            f"{one.what.name} · {one.what.reason or 'no reason given'} · {figures.ago(one.what.at)}\n{runs}"
        )
        if button.button("Allow again", key=f"allow-{one.what.artifact}", icon=":material/undo:"):
            studio.store.withdrawals.remove(one.what.artifact)
            st.rerun()


def _form(studio: Studio) -> None:
    choices = {
        what.title: what
        for run in fleet.runs_to_publish(studio)
        for what in fleet.publishable(studio, run.id)
    }
    if not choices:
        return
    with st.form("withdraw", border=False, clear_on_submit=True):
        title = st.selectbox("Model", list(choices), key="withdraw-model")
        reason = st.text_input("Reason", max_chars=200, key="withdraw-reason")
        wanted = st.form_submit_button("Withdraw", icon=":material/block:")
    if wanted and title in choices:
        fleet.withdraw(studio, choices[title], reason)
        st.rerun()

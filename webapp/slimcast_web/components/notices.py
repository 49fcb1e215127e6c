"""What a page says when there is nothing to show, or something is wrong."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components.plain import plain
from slimcast_web.services import studio


def studio_or_stop() -> studio.Studio:
    """Return the open studio; where there is none, say so and end the page."""
    try:
        return studio.current()
    except studio.StudioClosed as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
        raise AssertionError("st.stop() ends the page") from error


def error(problem: SlimcastError) -> None:
    """Show a failure in the words it brought. Plain text: names in it may come from anywhere."""
    with st.container(key="notice-error"):
        st.error("That did not work.", icon=":material/error:")
        st.code(str(problem), language=None, wrap_lines=True)


def empty(text: str, *, icon: str = ":material/inbox:") -> None:
    """Say that there is nothing yet, and what to do about it."""
    st.info(text, icon=icon)


def doubt(text: str) -> None:
    """Warn of what can be done all the same, in words whose names may come from anywhere; "" says nothing."""
    if text:
        st.warning(plain(text), icon=":material/warning:")


def problems(opened: studio.Studio) -> None:
    """Say what of the studio did not start; nothing when all is well."""
    for problem in opened.problems:
        st.warning("A part of the studio did not start:", icon=":material/warning:")
        st.code(problem, language=None, wrap_lines=True)


def broker(opened: studio.Studio) -> None:
    """Say that the broker is away, when it is."""
    if not opened.hub.connected:
        st.warning(
            "The MQTT broker does not answer. The studio keeps trying; devices are shown as last known.",
            icon=":material/cloud_off:",
        )
        if opened.hub.broker_problem:
            st.code(opened.hub.broker_problem, language=None, wrap_lines=True)

"""Home: what goes on, what came of it, and where to begin."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import first_steps, home_view, notices
from slimcast_web.services import home
from slimcast_web.services.home import Stage
from slimcast_web.services.studio import Studio

REFRESH_S = 2.0


def show() -> None:
    """Render the page."""
    st.title("Slimcast")
    st.caption("Compress a vision model, cast it to the cameras on your network, watch it work.")
    opened = notices.studio_or_stop()
    notices.problems(opened)
    notices.broker(opened)
    home_view.ways()
    _body(opened)


@st.fragment(run_every=REFRESH_S)
def _body(opened: Studio) -> None:
    now = home.overview(opened)
    pressed = first_steps.show(now)
    if pressed is not None:
        _do(opened, pressed)
    home_view.show(now)


def _do(opened: Studio, stage: Stage) -> None:
    try:
        if stage is Stage.COMPRESS:
            home.start_first_run(opened)
        elif stage is Stage.CAMERA:
            with st.spinner("Starting the camera"):
                home.switch_on_camera(opened)
        elif stage is Stage.PUBLISH:
            home.publish_first(opened)
    except SlimcastError as error:
        notices.error(error)
        return
    st.rerun()

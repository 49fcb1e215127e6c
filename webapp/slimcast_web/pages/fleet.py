"""Fleet: the devices as they are now, what they run, and what is published to them."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import (
    alert_list,
    connect_guide,
    device_card,
    device_editor,
    device_history,
    navigation,
    notices,
    publish_form,
    rollout_form,
    rollout_view,
    stream_panel,
    withdrawn_panel,
)
from slimcast_web.services import fleet
from slimcast_web.services.studio import Studio


def show() -> None:
    """Render the page. ``?run=ID&variant=NAME&device=NAME`` fills in what is to be published where."""
    st.title("Fleet")
    opened = notices.studio_or_stop()
    notices.problems(opened)
    notices.broker(opened)
    alert_list.show(opened)
    names = fleet.device_names(opened)
    if names:
        with st.container(border=True, key="publish"):
            st.subheader("Publish a model")
            order = publish_form.show(opened, names)
            if order is not None:
                _publish(opened, *order)
            rollout_form.show(opened)
    rollout_view.show(opened)
    _devices(opened, bool(names))
    device_editor.show(opened)
    withdrawn_panel.show(opened)
    _guide(opened, expanded=not names)


@st.fragment(run_every=1.0)
def _devices(opened: Studio, had_some: bool) -> None:
    devices = fleet.devices(opened)
    if not devices:
        notices.empty(
            "No camera has reported to this studio yet. It appears here as soon as its client runs."
        )
        return
    if not had_some:
        st.rerun()  # the first one: the page gets its form
    columns = st.columns(2)
    for index, device in enumerate(devices):
        with columns[index % 2]:
            device_card.show(device, fleet.passed(opened, device))
            stream_panel.show(opened, device)
            device_history.show(opened, device)


def _publish(opened: Studio, device: str, what: fleet.Publishable) -> None:
    navigation.remember("device", device)
    try:
        revision = fleet.publish(opened, device, what)
    except SlimcastError as error:
        notices.error(error)
        return
    st.success(
        f"Ordered as revision {revision}. The device's card shows how it goes.", icon=":material/send:"
    )


def _guide(opened: Studio, expanded: bool) -> None:
    with st.expander("Connect a camera", expanded=expanded, icon=":material/add_a_photo:"):
        try:
            connect_guide.enrol(opened)
            connect_guide.show(fleet.connect(opened))
        except SlimcastError as error:
            notices.error(error)

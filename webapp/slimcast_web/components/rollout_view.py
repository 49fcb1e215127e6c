"""Roll-outs as they stand: how far, device by device, with buttons to halt and to bring back."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet_records import Rollout, RolloutState
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import rollouts
from slimcast_web.services.studio import Studio

COLOURS = {
    RolloutState.RUNNING: "blue",
    RolloutState.HALTING: "orange",
    RolloutState.REVERTING: "orange",
    RolloutState.SUCCEEDED: "green",
    RolloutState.HALTED: "red",
    RolloutState.REVERTED: "red",
    RolloutState.REPLACED: "gray",
}


@st.fragment(run_every=1.0)
def show(studio: Studio) -> None:
    """Show those that go on, and the last ones that have ended; nothing where there is none."""
    for rollout in rollouts.shown(studio):
        with st.container(border=True, key=f"rollout-{rollout.id}"):
            _head(rollout)
            st.progress(rollouts.share_done(rollout), text=rollouts.progress(rollout))
            if rollout.reason:
                st.text(rollout.reason)
            _buttons(studio, rollout)
            _devices(studio, rollout)


def _head(rollout: Rollout) -> None:
    title, badge = st.columns([4, 1], vertical_alignment="center")
    title.text(f"Roll-out of {rollout.title}")
    with badge.container(horizontal=True, horizontal_alignment="right"):
        st.badge(rollout.state.value, color=COLOURS[rollout.state])
    stages = ", ".join(str(stage) for stage in rollout.plan.stages)
    st.caption(f"{rollout.id} · since {local_time(rollout.created_at)} · stages {stages}")


def _buttons(studio: Studio, rollout: Rollout) -> None:
    if rollout.request:
        st.caption(f"To {rollout.request} it is noted.")
        return
    with st.container(horizontal=True):
        if rollout.state is RolloutState.RUNNING:
            _button(studio, rollout, "halt", "Halt", ":material/front_hand:")
        if rollouts.can_revert(rollout):
            _button(studio, rollout, "revert", "Bring back the former model", ":material/undo:")


def _button(studio: Studio, rollout: Rollout, what: str, label: str, icon: str) -> None:
    if st.button(label, key=f"{what}-{rollout.id}", icon=icon):
        try:
            rollouts.request(studio, rollout.id, what)
        except SlimcastError as error:
            notices.error(error)


def _devices(studio: Studio, rollout: Rollout) -> None:
    panel = st.expander("By device", key=f"rollout-devices-{rollout.id}", on_change="rerun")
    if panel.open:
        arrived = rollouts.arrived(studio, rollout)
        panel.dataframe(
            [
                {
                    "device": device.name,
                    "stage": device.stage + 1,
                    "step": device.step.value.replace("_", " "),
                    "arrived": arrived.get(device.name, ""),
                    "why": device.message,
                    "since": local_time(device.at) if device.at else "",
                }
                for device in rollout.devices
            ],
            hide_index=True,
            width="stretch",
        )

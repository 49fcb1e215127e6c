"""How a camera looks at the world: a form to turn, mirror, cut and expose its picture, and the way back."""

import hashlib
from typing import cast

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.records import Device, source_name
from slimcast_edge.wire import CameraView
from slimcast_web.components import camera_choice, notices
from slimcast_web.services import streaming
from slimcast_web.services.streaming import Standing
from slimcast_web.services.studio import Studio

_TURNS = (0, 90, 180, 270)
_WHOLE = (0.0, 1.0)
_SMALLEST = 0.02


def show(studio: Studio, device: Device) -> None:
    """Show the panel, closed; nothing of it is made until it is opened."""
    panel = st.expander(
        f"Camera of {device.name}", icon=":material/videocam:", key=f"camera-{device.name}", on_change="rerun"
    )
    if not panel.open:
        return
    with panel:
        camera = camera_choice.show(device, "camera")
        name = source_name(device.name, camera)
        outcome = st.container()
        ordered = streaming.view_of(device, camera)
        view = _form(name, ordered or CameraView())
        if view is not None:
            _order(studio, device.name, camera, view)
        if ordered is None:
            st.caption(
                "The camera's own settings hold until you order a view; an order replaces all of them."
            )
        elif st.button("Back to its own settings", key=f"camera-own-{name}", icon=":material/undo:"):
            _order(studio, device.name, camera, None)
        with outcome:
            _outcome(device, name)


def _order(studio: Studio, device: str, camera: str, view: CameraView | None) -> None:
    memory = _memory(source_name(device, camera))
    try:
        st.session_state[memory] = streaming.order_view(studio, device, view, camera)
    except SlimcastError as error:
        st.session_state[memory] = error


def _form(name: str, now: CameraView) -> CameraView | None:
    # Other widgets for another order: what was changed elsewhere is not covered by what stood here before.
    key = f"{name}-{hashlib.sha256(now.encode()).hexdigest()[:8]}"
    left, top, right, bottom = now.region or (0.0, 0.0, 1.0, 1.0)
    with st.form(f"camera-form-{key}", border=False):
        turn, swap = st.columns(2, vertical_alignment="bottom")
        rotation = turn.selectbox(
            "Turn clockwise, degrees", _TURNS, _TURNS.index(now.rotation), key=f"camera-turn-{key}"
        )
        mirror = swap.checkbox("Mirror", now.mirror, key=f"camera-mirror-{key}")
        across, down = st.columns(2)
        columns = across.slider("From left to right", *_WHOLE, (left, right), 0.01, key=f"camera-x-{key}")
        rows = down.slider("From top to bottom", *_WHOLE, (top, bottom), 0.01, key=f"camera-y-{key}")
        time, amplify = st.columns(2)
        exposure_ms = time.number_input(
            "Exposure, ms (empty: automatic)", 0.01, 10_000.0, now.exposure_ms, 1.0, key=f"camera-time-{key}"
        )
        gain = amplify.number_input(
            "Gain (empty: automatic)", 0.01, 1000.0, now.gain, 0.5, key=f"camera-gain-{key}"
        )
        if not st.form_submit_button("Order this view", type="primary", icon=":material/send:"):
            return None
    if min(columns[1] - columns[0], rows[1] - rows[0]) < _SMALLEST:
        st.error(f"A part of the picture must be at least {_SMALLEST} wide and high.")
        return None
    region = (columns[0], rows[0], columns[1], rows[1])
    return CameraView.model_validate(
        {
            "rotation": rotation,
            "mirror": mirror,
            "region": None if region == (0.0, 0.0, 1.0, 1.0) else region,
            "exposure_ms": exposure_ms,
            "gain": gain,
        }
    )


def _outcome(device: Device, name: str) -> None:
    """Say how the last order of this tab stands; the page draws itself every second, so this is kept."""
    last = st.session_state.get(_memory(name))
    if isinstance(last, SlimcastError):
        notices.error(last)
    elif last is not None:
        revision = cast(int, last)
        standing, sentence = streaming.standing(device, revision)
        if standing is Standing.IN_FORCE:
            st.success(f"{name} looks so since revision {revision}.", icon=":material/check:")
        elif standing is Standing.WAITING:
            st.info(sentence, icon=":material/hourglass:")
        else:
            notices.error(SlimcastError(sentence))


def _memory(name: str) -> str:
    return f"camera-ordered-{name}"

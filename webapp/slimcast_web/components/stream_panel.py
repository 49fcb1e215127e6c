"""How a device streams: what is ordered, whether it obeys, and a form to change it."""

import hashlib

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.records import Device, source_name
from slimcast_edge.wire import SnapshotRule, StreamSettings
from slimcast_web.components import camera_choice, camera_panel, notices, snapshot_panel
from slimcast_web.services import streaming
from slimcast_web.services.streaming import Standing
from slimcast_web.services.studio import Studio

_WIDTHS = (160, 240, 320, 480, 640, 800, 960, 1280, 1920)
_FLOW = {
    "watched": "while somebody watches",
    "results": "frames while somebody watches, results always",
    "always": "always",
}
_LEAST_FPS = 0.1
_PARTS = {"label": "label", "score": "score", "fps": "fps", "box": "box: what the model looks at"}


def show(studio: Studio, device: Device) -> None:
    """Show the panels of stream, camera and pictures, closed; each is made when it is opened."""
    key = f"stream-{device.name}"
    panel = st.expander(f"Stream of {device.name}", icon=":material/tune:", key=key, on_change="rerun")
    if panel.open:
        with panel:
            _panel(studio, device)
    camera_panel.show(studio, device)
    snapshot_panel.show(studio, device)


def _panel(studio: Studio, device: Device) -> None:
    camera = camera_choice.show(device, "stream", everyone="All that have no stream of their own")
    outcome = st.container()
    name = source_name(device.name, camera)
    stream = _form(name, streaming.ordered(device, camera), streaming.known_labels(studio, device))
    if stream is not None:
        _order(studio, device.name, stream, camera)
    if camera and not streaming.has_own_stream(device, camera):
        st.caption(f"{name} streams as its device does until you order another stream for it.")
    elif camera and st.button("Stream as the device does", key=f"stream-own-{name}", icon=":material/undo:"):
        _order(studio, device.name, None, camera)
    with outcome:
        _outcome(device)


def _order(studio: Studio, device: str, stream: StreamSettings | None, camera: str) -> None:
    try:
        st.session_state[_memory(device)] = streaming.order(studio, device, stream, camera)
    except SlimcastError as error:
        st.session_state[_memory(device)] = error


def _outcome(device: Device) -> None:
    """Say how the last order of this tab stands; the page draws itself every second, so this is kept."""
    last = st.session_state.get(_memory(device.name))
    if isinstance(last, SlimcastError):
        notices.error(last)
    elif isinstance(last, int):
        standing, sentence = streaming.standing(device, last)
        if standing is Standing.IN_FORCE:
            st.success(sentence, icon=":material/check:")
        elif standing is Standing.WAITING:
            st.info(sentence, icon=":material/hourglass:")
        else:
            notices.error(SlimcastError(sentence))


def _form(name: str, now: StreamSettings, labels: list[str]) -> StreamSettings | None:
    # Other widgets for another order: what was changed elsewhere is not covered by what stood here before.
    key = f"{name}-{hashlib.sha256(now.encode()).hexdigest()[:8]}"
    with st.form(f"stream-form-{key}", border=False):
        rate, width, quality = st.columns(3, vertical_alignment="bottom")
        max_fps = rate.number_input(
            "Frames/s, at most",
            _LEAST_FPS,
            240.0,
            max(_LEAST_FPS, now.max_fps),
            1.0,
            key=f"stream-fps-{key}",
        )
        widths = sorted({*_WIDTHS, now.width})
        pixels = width.selectbox("Width, pixels", widths, widths.index(now.width), key=f"stream-width-{key}")
        jpeg = quality.slider("JPEG quality", 1, 95, now.quality, key=f"stream-quality-{key}")
        flow = st.selectbox(
            "Frames and results flow",
            list(_FLOW),
            list(_FLOW).index(_flow(now)),
            format_func=_FLOW.__getitem__,
            key=f"stream-flow-{key}",
        )
        adapt = st.checkbox("Send less while the network is slow", now.adapt, key=f"stream-adapt-{key}")
        overlay = st.multiselect(
            "Draw onto the frames",
            list(_PARTS),
            [part for part in now.overlay if part in _PARTS],
            format_func=_PARTS.__getitem__,
            help="For viewers that show the picture alone. The Live page draws its own labels.",
            key=f"stream-overlay-{key}",
        )
        rule = _rule(now.snapshots, labels, key)
        if not st.form_submit_button("Order this", type="primary", icon=":material/send:"):
            return None
    return StreamSettings(
        max_fps=max_fps,
        width=pixels,
        quality=jpeg,
        always=flow == "always",
        results="always" if flow == "results" else "watched",
        adapt=adapt,
        overlay=overlay,
        snapshots=rule,
    )


def _rule(now: SnapshotRule | None, labels: list[str], key: str) -> SnapshotRule | None:
    classes = st.multiselect(
        "Take a picture when one of these appears",
        labels,
        now.classes if now else [],
        accept_new_options=True,
        max_selections=10,
        placeholder="Choose a class, or type one",
        help="As the model names it. A class appears when it has not been seen for a while.",
        key=f"stream-classes-{key}",
    )
    default = now or SnapshotRule(classes=["x"])
    score, absent = st.columns(2)
    min_score = score.slider(
        "Seen with a score of at least",
        0.05,
        1.0,
        max(0.05, default.min_score),
        0.05,
        key=f"stream-score-{key}",
    )
    absent_s = absent.number_input(
        "Not seen before for, s", 1.0, 86_400.0, default.absent_s, 5.0, key=f"stream-absent-{key}"
    )
    names = [name.strip()[:64] for name in classes if name.strip()]
    return SnapshotRule(classes=names, min_score=min_score, absent_s=absent_s) if names else None


def _flow(now: StreamSettings) -> str:
    if now.always:
        return "always"
    return "results" if now.results == "always" else "watched"


def _memory(device: str) -> str:
    return f"stream-ordered-{device}"

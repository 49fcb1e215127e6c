"""The way of a first visit: four steps from nothing to frames on the screen, one button at a time."""

import streamlit as st

from slimcast_web.components import navigation
from slimcast_web.services.home import Overview, Stage

_STEPS = (
    ("Compress a small network", {Stage.COMPRESS, Stage.WAIT}),
    ("Switch on a camera", {Stage.CAMERA, Stage.CONNECT}),
    ("Publish the model to it", {Stage.PUBLISH, Stage.DEPLOY}),
    ("Watch its frames", {Stage.WATCH}),
)
_WORDS = {
    Stage.COMPRESS: "LeNet-5 learns handwritten digits, loses half of its arithmetic and becomes int8. "
    "Nothing is downloaded; it takes about a minute.",
    Stage.WAIT: "The run goes on in a process of its own. The Runs page shows its curves.",
    Stage.CAMERA: "The real camera client starts on this machine and shows digits that no training has seen.",
    Stage.CONNECT: "The camera starts; it reports within some seconds.",
    Stage.PUBLISH: "The camera checks the signed model, tries it, and swaps it in between two frames.",
    Stage.DEPLOY: "The camera takes the model over. The Fleet page shows how it goes.",
    Stage.WATCH: "A camera runs a model. Its frames, with their labels, are on the Live page.",
}
_BUTTONS = {
    Stage.COMPRESS: ("Compress digits", "compress"),
    Stage.CAMERA: ("Switch on the simulated camera", "videocam"),
    Stage.PUBLISH: ("Publish", "cast"),
}


def show(now: Overview) -> Stage | None:
    """Draw the way; return the stage whose button was pressed."""
    at = next(index for index, (_, stages) in enumerate(_STEPS) if now.stage in stages)
    with st.container(border=True, key="first-steps"):
        st.subheader("From nothing to frames on the screen")
        for index, (column, (title, _)) in enumerate(zip(st.columns(len(_STEPS)), _STEPS, strict=True)):
            done = index < at
            column.markdown(f"{_icon(done=done, now=index == at)} **{index + 1}** {title}")
        st.caption(_WORDS[now.stage])
        if now.stage is Stage.WAIT and now.live:
            run = now.live[0]
            st.progress(min(max(run.progress, 0.0), 1.0), text=f"{run.progress:.0%}")
        if now.stage is Stage.WATCH:
            navigation.link("live", "See the frames", icon=":material/videocam:")
        button = _BUTTONS.get(now.stage)
        if button and st.button(button[0], key="first-next", type="primary", icon=f":material/{button[1]}:"):
            return now.stage
    return None


def _icon(*, done: bool, now: bool) -> str:
    if done:
        return ":green[:material/check_circle:]"
    return ":material/arrow_forward:" if now else ":gray[:material/radio_button_unchecked:]"

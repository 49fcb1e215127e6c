"""Which second model answers beside a camera's own; the address holds the choice."""

from collections.abc import Sequence

import streamlit as st

from slimcast_web.components import navigation, notices, publish_form
from slimcast_web.services import comparing, fleet
from slimcast_web.services.comparing import SecondModel
from slimcast_web.services.studio import Studio

_PARAMETERS = ("compare", "run", "variant")
_ON, _CAMERA, _RUN, _VARIANT = (f"live-compare-{name}" for name in ("on", "camera", "run", "variant"))


def from_address(studio: Studio) -> dict[str, SecondModel]:
    """Return what the address asks to compare, by camera."""
    return comparing.named(studio, *(navigation.parameter(name) for name in _PARAMETERS))


def show(studio: Studio, cameras: Sequence[str]) -> dict[str, SecondModel]:
    """Show the choice, closed; return the second model by camera, nothing while nothing is compared."""
    st.session_state.setdefault(_ON, bool(from_address(studio)))
    with st.popover("Compare", icon=":material/compare:", width="stretch"):
        if not st.toggle("Two models on one camera", key=_ON):
            st.caption(
                "A device can let a second model answer the very same frames beside its own: labels, scores "
                "and latencies side by side, and how often both agree. What it is to run does not change."
            )
        else:
            chosen = _choose(studio, cameras)
            if chosen:
                return chosen
    for name in _PARAMETERS:
        navigation.remember(name, "")
    return {}


def _choose(studio: Studio, cameras: Sequence[str]) -> dict[str, SecondModel]:
    runs = {run.id: run for run in fleet.runs_to_publish(studio)}
    if from_address(studio):  # a link may name an older run, or a camera that has not reported yet
        runs |= {run_id: studio.store.run(run_id) for run_id in [navigation.parameter("run")]}
        cameras = sorted({*cameras, navigation.parameter("compare")})
    if not runs or not cameras:
        st.caption("No run has left a model yet, or no camera has reported.")
        return {}
    camera = _select("compare", "Camera", list(cameras), _CAMERA, {})
    titles = {run.id: f"{run.name} · {run.id}" for run in runs.values()}
    run_id = _select("run", "Run", list(runs), _RUN, titles)
    variants = {what.variant.name: what for what in fleet.publishable(studio, run_id)}
    described = {name: publish_form.describe(what) for name, what in variants.items()}
    what = variants[_select("variant", "Second model", list(variants), _VARIANT, described)]
    second = SecondModel(artifact=what.artifact, name=what.title)
    notices.doubt(comparing.strangers(studio, camera, second))
    st.caption(
        "The device fetches and tries it like a model that is published, and drops it once this page is "
        "closed or hidden. Latencies are the device's own; a slow second model answers fewer frames."
    )
    return {camera: second}


def _select(parameter: str, label: str, options: list[str], key: str, titles: dict[str, str]) -> str:
    navigation.follow_address(parameter, key, options)
    chosen: str = st.selectbox(label, options, format_func=lambda name: titles.get(name, name), key=key)
    navigation.show_in_address(parameter, key, chosen)
    return chosen

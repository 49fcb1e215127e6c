"""Choose what goes to which device."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from slimcast_web.components import navigation
from slimcast_web.services import figures, fleet
from slimcast_web.services.fleet import Publishable
from slimcast_web.services.studio import Studio


def show(studio: Studio, devices: list[str]) -> tuple[str, Publishable] | None:
    """Show the form; return device and variant when the button was pressed."""
    one, two, three, four = st.columns([3, 4, 4, 2], vertical_alignment="bottom")
    what = choose(studio, two, three)
    if what is None:
        return None
    device = one.selectbox("Device", devices, index=_index(devices, navigation.parameter("device")))
    if four.button("Publish", type="primary", icon=":material/cast:", width="stretch"):
        return device, what
    return None


def choose(
    studio: Studio, left: DeltaGenerator, right: DeltaGenerator, *, key: str = "publish"
) -> Publishable | None:
    """Show the choice of a run and of one of its variants, in two columns; None where there is none."""
    runs = {run.id: run for run in fleet.runs_to_publish(studio)}
    if not runs:
        st.caption("No run has left a model yet.")
        navigation.link("compress", "Compress a network", icon=":material/compress:")
        return None
    ids = list(runs)
    run_id = left.selectbox(
        "Run",
        ids,
        index=_index(ids, navigation.parameter("run")),
        format_func=lambda i: f"{runs[i].name} · {i}",
        key=f"{key}-run",
    )
    variants = {what.variant.name: what for what in fleet.publishable(studio, run_id)}
    names = list(variants)
    name = right.selectbox(
        "Variant",
        names,
        index=_index(names, navigation.parameter("variant")),
        format_func=lambda n: describe(variants[n]),
        key=f"{key}-variant-{run_id}",
    )
    return variants[name]


def describe(what: Publishable) -> str:
    """Return a variant in a line: name, accuracy, size."""
    accuracy, size = what.variant.value("accuracy"), what.variant.value("size_bytes")
    parts = [what.variant.name]
    parts += [figures.percent(accuracy)] if accuracy is not None else []
    parts += [figures.size(size)] if size is not None else []
    return " · ".join(parts)


def _index(names: list[str], wanted: str) -> int:
    return names.index(wanted) if wanted in names else 0

"""A look at the data that the recipe takes: how many, how balanced, and what they look like."""

from itertools import groupby

import streamlit as st

from slimcast.data.look import Look
from slimcast.errors import SlimcastError
from slimcast_web.components import class_chart, notices
from slimcast_web.components.plain import plain
from slimcast_web.services import datasets
from slimcast_web.services.studio import Studio


def show(opened: Studio, text: str, *, key: str = "data-look") -> None:
    """Show the data of the recipe `text`, once somebody opens it."""
    box = st.expander("Look at the data", key=key, icon=":material/image_search:", on_change="rerun")
    if not box.open:
        return
    with box:
        spec = datasets.spec_of(text)
        if spec is None:
            notices.empty("The recipe has errors; its data are shown when they are put right.")
            return
        try:
            with st.spinner("Reading the data"):
                seen = datasets.look(opened, spec)
        except SlimcastError as error:
            notices.error(error)
            return
        _counts(seen, key)
        _samples(seen)


def _counts(seen: Look, key: str) -> None:
    for place, (part, title) in zip(st.columns(4), _TITLES.items(), strict=True):
        place.metric(title, f"{seen.total(part):,}" if part != "classes" else f"{len(seen.labels):,}")
    for note in seen.notes:
        st.warning("This copy of the data:", icon=":material/warning:")
        st.code(note, language=None, wrap_lines=True)
    st.caption(datasets.balance(seen.counts["train"]))
    class_chart.show(seen.labels, seen.counts, key=f"{key}-counts")


_TITLES = {
    "classes": "Classes",
    "train": "Training images",
    "validation": "Validation images",
    "test": "Test images",
}


def _samples(seen: Look) -> None:
    shown = [(label, list(group)) for label, group in groupby(seen.samples, key=lambda item: item.label)]
    if len(shown) < len(seen.labels):
        st.caption(f"Training images of the first {len(shown)} of {len(seen.labels):,} classes")
    for start in range(0, len(shown), 2):
        for place, (label, group) in zip(st.columns(2), shown[start : start + 2], strict=False):
            with place:
                st.caption(plain(label))
                st.image([sample.png for sample in group], width=60, alt=[sample.label for sample in group])

"""Compress: choose a network, data and how small it shall become; see the recipe; start."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import data_look, data_upload, navigation, notices, recipe_editor, weights_upload
from slimcast_web.services import compress, datasets, weights
from slimcast_web.services.studio import Studio


def show() -> None:
    """Render the page. ``?clone=RUN`` starts from the recipe of a run."""
    st.title("Compress")
    st.caption(
        "Make a network smaller and faster. What is measured is measured by the code that runs on the device."
    )
    opened = notices.studio_or_stop()
    notices.problems(opened)
    names = [preset.name for preset in compress.presets()]
    if names:
        st.selectbox(
            "Start from a recipe",
            names,
            index=None,
            key="preset",
            placeholder="Your own choices",
            on_change=recipe_editor.load_preset,
        )
    text = recipe_editor.show(
        _cloned(opened),
        folders=datasets.uploaded(opened),
        weights_of=lambda model: weights.choices(opened, model),
    )
    problems = compress.problems(text)
    _show_problems(problems)
    if st.button("Start compression", type="primary", icon=":material/play_arrow:", disabled=bool(problems)):
        _start(opened, text)
    data_look.show(opened, text)
    data_upload.show(opened)
    weights_upload.show(opened)


def _cloned(opened: Studio) -> str | None:
    run_id = navigation.parameter("clone")
    if not run_id:
        return None
    navigation.remember("clone", "")  # once: a later change must not be undone by the address
    try:
        return compress.recipe_of_run(opened, run_id)
    except SlimcastError as error:
        notices.error(error)
        return None


def _show_problems(problems: list[tuple[str, str]]) -> None:
    if problems:
        count = "one error" if len(problems) == 1 else f"{len(problems)} errors"
        st.error(f"The recipe has {count}; it cannot start.", icon=":material/error:")
        st.code("\n".join(f"{path or 'recipe'}: {message}" for path, message in problems), language=None)


def _start(opened: Studio, text: str) -> None:
    try:
        run = compress.start(opened, text)
    except SlimcastError as error:
        notices.error(error)
        return
    navigation.go("runs", run=run.id)

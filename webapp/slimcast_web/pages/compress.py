"""Compress: choose a network, data and how small it shall become; see the recipe; start."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast_web.components import (
    data_look,
    data_upload,
    estimate_view,
    navigation,
    notices,
    recipe_editor,
    recipe_state,
    start_from,
    weights_upload,
)
from slimcast_web.services import compress, datasets, durations, estimate, weights
from slimcast_web.services.studio import Studio


def show() -> None:
    """Render the page. ``?clone=RUN`` starts from the recipe of a run."""
    st.title("Compress")
    st.caption(
        "Make a network smaller and faster. What is measured is measured by the code that runs on the device."
    )
    opened = notices.studio_or_stop()
    notices.problems(opened)
    recipe_state.begin(_cloned(opened))
    recipe_state.catch_up()
    start_from.show()
    text = recipe_state.text()
    recipe, problems = compress.checked(text)
    costs = estimate.estimate(recipe) if recipe else None
    left = recipe_editor.show(
        problems,
        costs=costs.before if costs else None,
        folders=datasets.uploaded(opened),
        weights_of=lambda model: weights.choices(opened, model),
    )
    _show_problems(problems, left)
    if recipe is not None:
        estimate_view.show(costs, durations.expected(opened, recipe))
    if st.button("Start compression", type="primary", icon=":material/play_arrow:", disabled=recipe is None):
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


def _show_problems(problems: list[tuple[str, str]], left: list[tuple[str, str]]) -> None:
    if problems:
        count = "one error" if len(problems) == 1 else f"{len(problems)} errors"
        st.error(f"The recipe has {count}; it cannot start.", icon=":material/error:")
    if left:
        st.code("\n".join(f"{path or 'recipe'}: {message}" for path, message in left), language=None)


def _start(opened: Studio, text: str) -> None:
    try:
        run = compress.start(opened, text)
    except SlimcastError as error:
        notices.error(error)
        return
    navigation.go("runs", run=run.id)

"""The recipe as choices, steps and YAML, side by side: each changes the others, the last change counts."""

from collections.abc import Callable, Sequence

import streamlit as st

from slimcast_web.components import field, recipe_pane, recipe_state, step_editor, subject_form
from slimcast_web.components.field import Problems
from slimcast_web.services import forms
from slimcast_web.services.estimate import Footprint


def show(
    problems: list[tuple[str, str]],
    *,
    costs: Footprint | None = None,
    folders: Sequence[str] = (),
    weights_of: Callable[[str], Sequence[str]] = lambda _model: ("none",),
) -> list[tuple[str, str]]:
    """Draw the editor of the recipe in `recipe_state`; return the problems that no field has shown.

    Args:
        problems: what is wrong with the recipe: (path, message).
        costs: of the network before anything is done to it, where they are known.
        folders: paths of data sets that were uploaded.
        weights_of: says what a network can begin with.

    """
    shown = Problems(problems)
    left, right = st.columns([6, 5], gap="large")
    with left:
        if recipe_state.document() is None:
            st.info("The forms come back once the text is a YAML mapping.", icon=":material/edit_note:")
        else:
            subject_form.show(folders, weights_of, costs, shown)
            st.subheader("Steps")
            step_editor.show(shown)
            _general(shown)
    with right:
        recipe_pane.show()
    return shown.left


def _general(problems: Problems) -> None:
    fields = forms.general_fields()
    wrong = any(problems.at(one.path) for one in fields)
    with st.expander("Name, seed and images", expanded=wrong, icon=":material/settings:"):
        columns = st.columns(2)
        for index, one in enumerate(fields):
            with columns[index % 2]:
                field.show(one, "", problems)

"""The steps of the recipe: each as a form that its catalog entry describes; added, moved, removed."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from slimcast.catalog import STEPS
from slimcast.recipe.quantizing import DEFAULT_METHOD
from slimcast_web.components import field, recipe_state
from slimcast_web.components.field import Problems
from slimcast_web.services import forms, recipe_text
from slimcast_web.services.forms import FormField

_COLUMNS = 3


def show(problems: Problems) -> None:
    """Draw all steps, and the box that adds one; nothing while the recipe's text is no mapping."""
    document = recipe_state.document()
    if document is None:
        return
    kinds = recipe_text.step_kinds(document)
    for index, kind in enumerate(kinds):
        wrong = problems.at(f"steps.{index}")
        title = STEPS[kind].title if kind else "A step that is not known"
        key = f"recipe-step-{index}"
        if wrong:
            st.session_state[key] = True
        icon = ":material/error:" if wrong else ":material/tune:"
        box = st.expander(f"{index} {title}", key=key, icon=icon, on_change="rerun")
        if box.open:  # what is closed costs nothing
            with box:
                _step(index, kind, len(kinds), problems)
    problems.show("steps")
    st.selectbox(
        "Add a step",
        STEPS.names(),
        index=None,
        key="recipe-add-step",
        format_func=lambda name: STEPS[name].title,
        placeholder="Choose what to do next",
        on_change=_add,
    )


def _step(index: int, kind: str, count: int, problems: Problems) -> None:
    place = f"steps.{index}"
    if kind:
        entry = STEPS[kind]
        st.caption(entry.description + (f" ({entry.citation})" if entry.citation else ""))
        _form(kind, place, problems)
    problems.show(place, below=True)
    with st.container(horizontal=True):
        _button(
            "Up", "arrow_upward", f"up-{index}", index == 0, lambda d: recipe_text.move_step(d, index, -1)
        )
        _button(
            "Down",
            "arrow_downward",
            f"down-{index}",
            index == count - 1,
            lambda d: recipe_text.move_step(d, index, 1),
        )
        _button(
            "Remove", "delete", f"remove-{index}", count == 1, lambda d: recipe_text.remove_step(d, index)
        )


def _button(
    label: str, icon: str, key: str, disabled: bool, how: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    st.button(
        label,
        key=f"recipe-step-{key}",
        icon=f":material/{icon}:",
        disabled=disabled,
        on_click=recipe_state.change,
        args=(how,),
    )


def _form(kind: str, place: str, problems: Problems) -> None:
    document = recipe_state.document()
    method = recipe_text.get(document, f"{place}.method") or DEFAULT_METHOD
    fields = forms.fields_of(kind, str(method))
    if measures := forms.target_measures(kind):
        _target(fields, measures, place, problems)
        fields = [one for one in fields if one.path.removeprefix("target.") not in measures]
    said = [
        one for one in fields if one.first or recipe_text.get(document, f"{place}.{one.path}") is not None
    ]
    more = [one for one in fields if one not in said]
    _rows(said, place, problems)
    if more and st.toggle(f"All settings ({len(more)} more)", key=f"all-{place}-{kind}"):
        _rows(more, place, problems)


def _rows(fields: list[FormField], place: str, problems: Problems) -> None:
    for start in range(0, len(fields), _COLUMNS):
        for column, one in zip(st.columns(_COLUMNS), fields[start : start + _COLUMNS], strict=False):
            with column:
                field.show(one, place, problems)


def _target(fields: list[FormField], measures: tuple[str, ...], place: str, problems: Problems) -> None:
    """Draw which measure the target is in, and its value: one of several fields may be given."""
    path, document = f"{place}.target", recipe_state.document()
    target = recipe_text.get(document, path)
    given = [name for name in measures if isinstance(target, dict) and target.get(name) is not None]
    measure = given[0] if given else ""
    left, right = st.columns(2)
    key = f"field-{path}-measure"
    st.session_state[key] = measure
    left.selectbox(
        "Target in",
        ["", *measures],
        key=key,
        format_func=lambda name: name.replace("_", ", ") or "no target",
        help="Below 1 it is the share that remains; from there on a budget.",
        on_change=_measure_changed,
        args=(path, key),
    )
    with right:
        for one in fields:
            if measure and one.path == f"target.{measure}":
                field.show(one, place, problems)
    problems.show(path)


def _measure_changed(path: str, key: str) -> None:
    measure = st.session_state[key]
    recipe_state.put(path, {measure: 0.5} if measure else None)


def _add() -> None:
    kind = st.session_state["recipe-add-step"]
    if kind:
        recipe_state.change(lambda document: recipe_text.add_step(document, kind))
        st.session_state["recipe-add-step"] = None

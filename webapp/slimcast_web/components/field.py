"""One field of a recipe as a widget, with what is wrong with it right below."""

from typing import Any

import streamlit as st

from slimcast_web.components import recipe_state
from slimcast_web.components.plain import plain
from slimcast_web.services import forms, recipe_text
from slimcast_web.services.forms import FieldKind, FormField

_DEFAULT = "default"
_DIGITS = 6


class Problems:
    """What is wrong with the recipe, handed out to the fields that it belongs to."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        self._left = list(found)

    def show(self, path: str, *, below: bool = False) -> None:
        """Show what is wrong at a path; with `below` also what is wrong at places under it."""
        inside = f"{path}."
        for problem in [p for p in self._left if p[0] == path or (below and p[0].startswith(inside))]:
            self._left.remove(problem)
            where = problem[0].removeprefix(inside) if problem[0] != path else ""
            st.caption(f":red[:material/error: {plain(where + ': ' if where else '')}{plain(problem[1])}]")

    def at(self, path: str) -> bool:
        """Return whether something is wrong at a path or below it."""
        return any(where == path or where.startswith(f"{path}.") for where, _ in self._left)

    @property
    def left(self) -> list[tuple[str, str]]:
        """What no field has shown."""
        return list(self._left)


def show(field: FormField, place: str, problems: Problems) -> None:
    """Draw a field of the part of the recipe at `place`, such as ``steps.2``; "" is the recipe itself."""
    path = f"{place}.{field.path}" if place else field.path
    value = recipe_text.get(recipe_state.document(), path)
    key = f"field-{path}"
    if not forms.fits(field, value):
        _text(field, path, f"{key}-text", forms.to_yaml(value))
    elif field.kind is FieldKind.CHOICE:
        _choice(field, path, key, value)
    elif field.kind is FieldKind.FLAG:
        _flag(field, path, key, value)
    elif field.kind in {FieldKind.WHOLE, FieldKind.NUMBER}:
        _number(field, path, key, value)
    else:
        _text(field, path, key, forms.to_yaml(value) if field.kind is FieldKind.YAML else value or "")
    problems.show(path, below=True)


def _choice(field: FormField, path: str, key: str, value: Any) -> None:
    titles = dict(zip(field.options, field.titles, strict=True))
    options = list(field.options) if field.default is not None else [_DEFAULT, *field.options]
    st.session_state[key] = value if value is not None else field.default or _DEFAULT
    st.selectbox(
        field.title,
        options,
        key=key,
        format_func=lambda name: titles.get(name, name),
        help=field.help or None,
        on_change=_changed,
        args=(field, path, key),
    )


def _flag(field: FormField, path: str, key: str, value: Any) -> None:
    if field.default is None:  # yes, no, or left to the engine
        words = {None: _DEFAULT, True: "yes", False: "no"}
        st.session_state[key] = words[value]
        st.selectbox(
            field.title,
            list(words.values()),
            key=key,
            help=field.help or None,
            on_change=_changed,
            args=(field, path, key),
        )
        return
    st.session_state[key] = field.default if value is None else value
    st.toggle(field.title, key=key, help=field.help or None, on_change=_changed, args=(field, path, key))


def _number(field: FormField, path: str, key: str, value: Any) -> None:
    whole = field.kind is FieldKind.WHOLE
    given = field.default if value is None else value
    kind = int if whole else float
    st.session_state[key] = None if given is None else kind(given)
    st.number_input(
        field.title,
        min_value=None if field.lowest is None else kind(field.lowest),
        max_value=None if field.highest is None else kind(field.highest),
        value=None,
        step=1 if whole else _step(given),
        format=None if whole else "%g",
        placeholder=_DEFAULT,
        key=key,
        help=field.help or None,
        on_change=_changed,
        args=(field, path, key),
    )


def _step(value: float | None) -> float:
    """Return by how much the buttons of a number change it: a tenth of its size, or one."""
    if not value:
        return 0.1
    size = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while value < size:
        size /= 10
    return max(size, 10.0**-_DIGITS)


def _text(field: FormField, path: str, key: str, value: str) -> None:
    st.session_state[key] = value
    st.text_input(
        field.title,
        key=key,
        placeholder="none" if field.default is None or "." in field.path else forms.to_yaml(field.default),
        help=field.help or None,
        max_chars=1000,
        on_change=_changed,
        args=(field, path, key),
    )


def _changed(field: FormField, path: str, key: str) -> None:
    value = st.session_state[key]
    if field.kind is FieldKind.FLAG and isinstance(value, str):
        value = {"yes": True, "no": False}.get(value)
    elif value == _DEFAULT or value == "":
        value = None
    elif isinstance(value, str) and field.kind not in {FieldKind.TEXT, FieldKind.CHOICE}:
        value = forms.from_yaml(value)
    elif isinstance(value, float):
        value = _tidy(value)
    if value == field.default and "." not in field.path and field.path != "method":
        value = None  # a recipe says what differs
    recipe_state.put(path, value)


def _tidy(value: float) -> float:
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded == int(rounded) else rounded

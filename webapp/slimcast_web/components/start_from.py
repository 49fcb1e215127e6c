"""Where a recipe begins: a published method for the chosen network and data, or a file that comes with us."""

import streamlit as st

from slimcast_web.components import navigation, recipe_state
from slimcast_web.services import presets, recipe_text
from slimcast_web.services.presets import Example, Preset

_KEY = "preset"


def show() -> None:
    """Draw the box; the method's own words and what it follows stand below."""
    offered = _offered()
    name = st.selectbox(
        "Start from a method or an example",
        list(offered),
        index=None,
        key=_KEY,
        format_func=lambda key: _title(offered[key]),
        placeholder="Your own choices",
        on_change=_load,
    )
    chosen = offered.get(name or "")
    if isinstance(chosen, Preset):
        st.caption(f"{chosen.description} Follows {chosen.follows}.")
    elif isinstance(chosen, Example):
        st.caption("A recipe with its own network and data; what it came to stands at its head.")
    navigation.link("search", "Or have recipes looked for under a budget", icon=":material/search:")


def _offered() -> dict[str, Preset | Example]:
    methods: dict[str, Preset | Example] = {one.name: one for one in presets.PRESETS}
    return methods | {one.name: one for one in presets.examples()}


def _title(one: Preset | Example) -> str:
    return one.title if isinstance(one, Preset) else f"Example: {one.name}"


def _load() -> None:
    chosen = _offered().get(st.session_state[_KEY] or "")
    if isinstance(chosen, Example):
        recipe_state.load(chosen.text)
    elif chosen is not None:
        document = recipe_state.document()

        def said(path: str, default: str) -> str:
            return str(recipe_text.get(document, path) or default)

        recipe_state.load(
            presets.text_of(
                chosen,
                said("model.name", "lenet5"),
                said("data.name", "digits"),
                path=said("data.path", ""),
                weights=said("model.weights", "none"),
            )
        )

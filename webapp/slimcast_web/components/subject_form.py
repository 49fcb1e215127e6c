"""Which network, which data, and how small: the three choices that a recipe follows from."""

from collections.abc import Callable, Sequence

import streamlit as st

from slimcast.catalog import DATA, MODELS
from slimcast_web.components import recipe_state
from slimcast_web.components.field import Problems
from slimcast_web.services import dial, figures, recipe_text
from slimcast_web.services.compress import yaml_of
from slimcast_web.services.estimate import Footprint

_MODEL, _WEIGHTS, _DATA, _PATH, _DIAL = (
    f"subject-{name}" for name in ("model", "weights", "data", "path", "dial")
)


def show(
    folders: Sequence[str],
    weights_of: Callable[[str], Sequence[str]],
    costs: Footprint | None,
    problems: Problems,
) -> None:
    """Draw the choices; each writes the recipe.

    Args:
        folders: paths of data sets that were uploaded.
        weights_of: says what a network can begin with.
        costs: of the network before anything is done to it, where they are known.
        problems: shown at the field that they belong to.
    """
    _fill()
    network, data = st.columns(2)
    with network:
        _network(weights_of, costs, problems)
    with data:
        _data(folders, problems)
    _dial()


def _fill() -> None:
    document, state = recipe_state.document(), st.session_state
    for key, path in (
        (_MODEL, "model.name"),
        (_WEIGHTS, "model.weights"),
        (_DATA, "data.name"),
        (_PATH, "data.path"),
    ):
        value = recipe_text.get(document, path)
        state[key] = value if isinstance(value, str) else None
    state[_WEIGHTS] = state[_WEIGHTS] or "none"
    level = dial.level_of(state[recipe_state.TEXT_KEY])
    state[_DIAL] = level.title if level else None


def _network(weights_of: Callable[[str], Sequence[str]], costs: Footprint | None, problems: Problems) -> None:
    model = st.session_state[_MODEL] or ""
    st.selectbox(
        "Network",
        _with(MODELS.names(), model),
        index=None,
        key=_MODEL,
        format_func=lambda name: MODELS[name].title if name in MODELS else name,
        accept_new_options=True,
        placeholder="Choose a network",
        help="Any network of timm as timm:NAME.",
        on_change=_subject_changed,
    )
    problems.show("model.name")
    if model in MODELS:
        st.caption(MODELS[model].description + _costs(costs))
    st.selectbox(
        "Weights to begin with",
        _with(weights_of(model), st.session_state[_WEIGHTS]),
        key=_WEIGHTS,
        accept_new_options=True,
        help="none: random. imagenet: torchvision's or timm's. Or run:ID, or a safetensors file.",
        on_change=_subject_changed,
    )
    problems.show("model.weights")


def _costs(costs: Footprint | None) -> str:
    if costs is None or costs.macs is None or costs.size_bytes is None:
        return ""
    return f" {figures.count(costs.macs)} MACs an image and {figures.size(costs.size_bytes)} in float here."


def _data(folders: Sequence[str], problems: Problems) -> None:
    data = st.session_state[_DATA] or ""
    st.selectbox(
        "Data",
        _with(DATA.names(), data),
        index=None,
        key=_DATA,
        format_func=lambda name: DATA[name].title if name in DATA else name,
        placeholder="Choose a data set",
        on_change=_subject_changed,
    )
    problems.show("data.name")
    if data not in DATA:
        return
    st.caption(DATA[data].description)
    if DATA[data].needs_path:
        st.selectbox(
            "Where it is",
            _with(folders, st.session_state[_PATH] or ""),
            index=None,
            key=_PATH,
            accept_new_options=True,
            placeholder="An uploaded set, or type the path of a folder",
            help="Relative paths lie below the data root.",
            on_change=lambda: recipe_state.put("data.path", st.session_state[_PATH]),
        )
    problems.show("data.path")


def _dial() -> None:
    # Radio buttons wrap on narrow screens, where pills would leave it.
    st.radio(
        "How small?",
        [level.title for level in dial.LEVELS],
        index=None,
        key=_DIAL,
        horizontal=True,
        on_change=_dial_turned,
        help="Writes the steps anew, to suit network and data. Without a mark, the steps are your own.",
    )
    level = _level()
    st.caption(
        level.description if level else "The steps below are your own. A choice here writes them anew."
    )


def _subject_changed() -> None:
    state = st.session_state
    changed = dial.for_subject(
        state[recipe_state.TEXT_KEY],
        model=state[_MODEL] or "",
        data=state[_DATA] or "",
        path=state[_PATH] or "",
        weights=state[_WEIGHTS] or "none",
    )
    recipe_state.load(changed)


def _dial_turned() -> None:
    level = _level()
    if level is not None:
        _write(level)


def _level() -> dial.Level | None:
    return next((one for one in dial.LEVELS if one.title == st.session_state[_DIAL]), None)


def _write(level: dial.Level) -> None:
    state = st.session_state
    draft = dial.recommended(
        state[_MODEL] or "",
        state[_DATA] or "",
        state[_PATH] or "",
        level=level,
        weights=state[_WEIGHTS] or "none",
    )
    recipe_state.load(yaml_of(draft))


def _with(options: Sequence[str], chosen: str) -> list[str]:
    return list(dict.fromkeys([*options, chosen] if chosen else options))

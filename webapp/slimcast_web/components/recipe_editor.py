"""The recipe as a form and as YAML, side by side: either changes the other, the last change counts."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import streamlit as st

from slimcast.catalog import CRITERIA, DATA, MODELS, QUANTIZERS
from slimcast.recipe.quantizing import DEFAULT_METHOD
from slimcast_web.services import compress
from slimcast_web.services.compress import Draft

_TEXT = "recipe-yaml"
_KEPT = "recipe-kept"
_NOTE = "recipe-note"
_FOLDER_NEXT = "recipe-folder-next"
_WEIGHTS_NEXT = "recipe-weights-next"


def show(
    start_from: str | None = None,
    *,
    folders: Sequence[str] = (),
    weights_of: Callable[[str], Sequence[str]] = lambda _model: ("none",),
) -> str:
    """Show the editor and return the recipe's text.

    Args:
        start_from: a recipe that replaces what was there.
        folders: paths of data sets that were uploaded.
        weights_of: says what a network can begin with.

    """
    if start_from is not None:
        _load(start_from)
    elif _TEXT not in st.session_state:
        # Streamlit forgets a widget's value when another page is shown; this remembers.
        _load(st.session_state.get(_KEPT) or compress.yaml_of(compress.recommended("lenet5", "digits")))
    if _FOLDER_NEXT in st.session_state:
        st.session_state["draft-data"] = "folder"
        st.session_state["draft-path"] = st.session_state.pop(_FOLDER_NEXT)
        _subject_changed()
    if _WEIGHTS_NEXT in st.session_state:
        st.session_state["draft-weights"] = st.session_state.pop(_WEIGHTS_NEXT)
        _form_changed()
    left, right = st.columns([6, 5], gap="large")
    with left:
        _form(folders, weights_of)
    with right:
        st.text_area(
            "Recipe (YAML)",
            key=_TEXT,
            height=470,
            on_change=_text_changed,
            help="The same recipe as text. Change it here and the form follows, as far as it can show it.",
        )
        if st.session_state.get(_NOTE):
            st.caption(
                "This recipe says more than the form can show. A change in the form starts over from it."
            )
    text: str = st.session_state[_TEXT]
    st.session_state[_KEPT] = text
    return text


def load_preset() -> None:
    """Take over the preset that was chosen under the key `preset`; for use as a callback."""
    name = st.session_state.get("preset")
    preset = next((preset for preset in compress.presets() if preset.name == name), None)
    if preset is not None:
        _load(preset.text)


def choose_folder_next(path: str) -> None:
    """Make a folder of images the data of the recipe when the page runs next."""
    st.session_state[_FOLDER_NEXT] = path


def choose_weights_next(path: str) -> None:
    """Make weights those of the recipe's network when the page runs next."""
    st.session_state[_WEIGHTS_NEXT] = path


def _form(folders: Sequence[str], weights_of: Callable[[str], Sequence[str]]) -> None:
    network, data = st.columns(2)
    with network:
        st.selectbox(
            "Network",
            _with(MODELS.names(), st.session_state["draft-model"]),
            key="draft-model",
            format_func=_title,
            accept_new_options=True,
            help="Any network of timm as timm:NAME.",
            on_change=_subject_changed,
        )
        model = st.session_state["draft-model"]
        if model in MODELS:
            st.caption(MODELS[model].description)
        st.selectbox(
            "Weights to begin with",
            _with(weights_of(model), st.session_state["draft-weights"]),
            accept_new_options=True,
            help="none: random. imagenet: torchvision's or timm's. Or run:ID, or a safetensors file.",
            **_field("weights"),
        )
    with data:
        st.selectbox(
            "Data",
            DATA.names(),
            key="draft-data",
            format_func=lambda n: DATA[n].title,
            on_change=_subject_changed,
        )
        st.caption(DATA[st.session_state["draft-data"]].description)
        if DATA[st.session_state["draft-data"]].needs_path:
            st.selectbox(
                "Where it is",
                folders,
                accept_new_options=True,
                placeholder="An uploaded set, or type the path of a folder",
                help="Relative paths lie below the data root.",
                **_field("path"),
            )
    st.slider(
        "Keep this share of the MACs",
        10,
        100,
        step=5,
        format="%d %%",
        key="draft-keep_macs",
        on_change=_form_changed,
        help="MACs are multiply-accumulates, the arithmetic that one image costs. 100 % means no pruning.",
    )
    st.selectbox(
        "Quantize at the end",
        ["", *_by_use(QUANTIZERS.names())],
        format_func=lambda n: QUANTIZERS[n].title if n else "No: keep 32-bit floats",
        help="Static int8 is what a camera's processor is fastest with; fewer bits make the file smaller.",
        **_field("quantize"),
    )
    if method := st.session_state["draft-quantize"]:
        st.caption(QUANTIZERS[method].description)
    with st.expander("Advanced", icon=":material/tune:"):
        _advanced()


def _by_use(methods: Sequence[str]) -> list[str]:
    """Return the methods with the default first."""
    return sorted(methods, key=lambda name: name != DEFAULT_METHOD)


def _with(options: Sequence[str], chosen: str) -> list[str]:
    return list(dict.fromkeys([*options, chosen]))


def _title(model: str) -> str:
    return MODELS[model].title if model in MODELS else model


def _advanced() -> None:
    one, two, three = st.columns(3)
    one.number_input("Epochs of training", 0.1, 1000.0, step=1.0, **_field("epochs"))
    two.number_input("Batch size", 1, 65536, **_field("batch_size"))
    three.number_input("Seed", 0, 2**31 - 1, **_field("seed"))
    st.selectbox(
        "Which channels go first",
        CRITERIA.names(),
        format_func=lambda n: CRITERIA[n].title,
        help="The criterion of pruning; l2 suits every network.",
        **_field("criterion"),
    )
    one, two, three = st.columns(3)
    one.number_input("Pruning rounds", 1, 50, **_field("rounds"))
    two.number_input("Epochs between rounds", 0.1, 100.0, step=1.0, **_field("between_epochs"))
    three.number_input("Round channels to", 1, 64, **_field("round_to"))
    one.number_input("Epochs of fine-tuning", 0.1, 1000.0, step=1.0, **_field("finetune_epochs"))
    two.number_input(
        "Its learning rate",
        0.0,
        1.0,
        step=0.0005,
        format="%.4f",
        help="0: the network's own.",
        **_field("finetune_rate"),
    )
    three.number_input("Image size, pixels", 0, 512, help="0: the data's own.", **_field("image_size"))
    one.number_input("Training images", 0, 10_000_000, help="0: all.", **_field("train_samples"))
    st.toggle("Fine-tune with the unpruned network as teacher (distillation)", **_field("distill"))
    st.toggle(
        "Train only the head before anything is removed",
        help="For weights that were trained elsewhere: the first training leaves other layers as they are.",
        **_field("freeze_backbone"),
    )


def _field(name: str) -> dict[str, Any]:
    return {"key": f"draft-{name}", "on_change": _form_changed}


def _form_changed() -> None:
    state = st.session_state
    values = {f.name: state[f"draft-{f.name}"] for f in fields(Draft) if f"draft-{f.name}" in state}
    values["path"] = values.get("path") or ""  # nothing is chosen yet
    state[_TEXT] = compress.yaml_of(Draft(**values))
    state[_NOTE] = False


def _subject_changed() -> None:
    state = st.session_state
    draft = compress.recommended(state["draft-model"], state["draft-data"], state.get("draft-path") or "")
    _fill(draft)
    state[_TEXT] = compress.yaml_of(draft)
    state[_NOTE] = False


def _text_changed() -> None:
    _load(st.session_state[_TEXT])


def _load(text: str) -> None:
    state = st.session_state
    state[_TEXT] = text
    draft = compress.draft_of(text)
    state[_NOTE] = draft is None and not compress.problems(text)
    if draft is not None or "draft-model" not in state:
        _fill(draft or Draft())


def _fill(draft: Draft) -> None:
    for field in fields(Draft):
        st.session_state[f"draft-{field.name}"] = getattr(draft, field.name)
    st.session_state["draft-path"] = draft.path or None

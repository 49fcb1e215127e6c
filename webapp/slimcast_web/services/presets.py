"""Whole recipes to start from: published methods for any network, and the files that come with Slimcast."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from slimcast.catalog import CRITERIA, QUANTIZERS, STEPS
from slimcast.recipe import load_recipe
from slimcast_web.services import recipe_text
from slimcast_web.services.compress import Draft, document
from slimcast_web.services.dial import Training, recommended, round_to, training_for

Steps = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A method, for any network and data. `follows`: what it was published as."""

    name: str
    title: str
    description: str
    follows: str
    steps: Callable[[Training, int], Steps]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A recipe file that comes with Slimcast, with its network, its data and the comment at its head."""

    name: str
    text: str


def text_of(preset: Preset, model: str, data: str, *, path: str = "", weights: str = "none") -> str:
    """Return the recipe of a preset for a network and data."""
    draft: Draft = recommended(model, data, path, weights=weights)
    training = training_for(data, weights)
    steps = preset.steps(training, round_to(model))
    first = [
        {"kind": "train", "epochs": recipe_text.short(training.first), "batch_size": training.batch_size}
    ]
    whole = document(draft) | {"steps": (first if training.first else []) + steps}
    whole["name"] = f"{draft.name.partition('-' + draft.data)[0]}-{draft.data}-{preset.name}"
    return recipe_text.write(whole)


def _pruned_int8(training: Training, multiple: int) -> Steps:
    return [
        {"kind": "prune", "target": {"macs": 0.5}, "round_to": multiple},
        _finetune(training),
        {"kind": "quantize"},
    ]


def _filters(training: Training, multiple: int) -> Steps:
    prune = {
        "kind": "prune",
        "criterion": "l1",
        "target": {"macs": 0.5},
        "rounds": 4,
        "finetune_epochs": recipe_text.short(training.between),
        "batch_size": training.batch_size,
        "round_to": multiple,
    }
    return [prune, _finetune(training)]


def _netadapt(training: Training, multiple: int) -> Steps:
    step = {
        "kind": "netadapt",
        "target": {"latency_ms": 0.6},
        "round_to": multiple,
        "finetune_epochs": recipe_text.short(training.end),
        "batch_size": training.batch_size,
    }
    return [step]


def _binary(training: Training, _multiple: int) -> Steps:
    return [_trained("binary", training, 2.0)]


def _int4(training: Training, _multiple: int) -> Steps:
    return [_trained("weight_only", training, 1.0) | {"weights": "int4", "distill": {"teacher": "baseline"}}]


def _qat(training: Training, _multiple: int) -> Steps:
    return [_trained("qat", training, 1.0)]


def _trained(method: str, training: Training, times: float) -> dict[str, Any]:
    epochs = recipe_text.short(training.end * times)
    return {"kind": "quantize", "method": method, "epochs": epochs, "batch_size": training.batch_size}


def _finetune(training: Training) -> dict[str, Any]:
    return {
        "kind": "finetune",
        "epochs": recipe_text.short(training.end),
        "batch_size": training.batch_size,
        "distill": {"teacher": "baseline"},
    }


PRESETS = (
    Preset(
        name="pruned-int8",
        title="Pruning, then int8 after training",
        description="Whole channels go, the rest is trained on, and integers come last: smaller and faster.",
        follows=STEPS["prune"].citation + "; " + QUANTIZERS["static"].citation,
        steps=_pruned_int8,
    ),
    Preset(
        name="filters",
        title="Filter pruning with rounds",
        description="Filters with the smallest weights go, a few at a time, with training between; in float.",
        follows=CRITERIA["l1"].citation,
        steps=_filters,
    ),
    Preset(
        name="netadapt",
        title="NetAdapt under a latency budget",
        description="Cuts until the latency measured on this machine is 60 % of what it was.",
        follows=STEPS["netadapt"].citation,
        steps=_netadapt,
    ),
    Preset(
        name="qat",
        title="int8 with training",
        description="For networks that lose too much when int8 comes after training.",
        follows=QUANTIZERS["qat"].citation,
        steps=_qat,
    ),
    Preset(
        name="binary",
        title="Binary network",
        description="One bit for each weight: the smallest file, trained, and less accurate.",
        follows=QUANTIZERS["binary"].citation,
        steps=_binary,
    ),
    Preset(
        name="int4",
        title="int4 weights",
        description="Weights in four bits, trained so: an eighth of the bytes; it computes in float.",
        follows=QUANTIZERS["weight_only"].citation,
        steps=_int4,
    ),
)


@cache
def examples() -> tuple[Example, ...]:
    """Return the recipes that come with Slimcast, by name."""
    files = sorted(_recipes_folder().rglob("*.yaml"))
    return tuple(
        Example(name=load_recipe(file).name, text=file.read_text(encoding="utf-8")) for file in files
    )


def _recipes_folder() -> Path:
    import slimcast

    packaged = Path(slimcast.__file__).parent / "recipes"
    return packaged if packaged.is_dir() else packaged.parents[2] / "examples" / "recipes"

"""From a few choices to a recipe, and from a recipe to a run."""

import re
from dataclasses import dataclass
from typing import Any

from slimcast.catalog import QUANTIZERS
from slimcast.errors import RecipeError
from slimcast.recipe import QuantizeStep, Recipe, parse_recipe
from slimcast.recipe.quantizing import DEFAULT_METHOD
from slimcast.recipe.trust import code_problems
from slimcast.records import Run
from slimcast_web.services import recipe_text
from slimcast_web.services.studio import Studio


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The few choices that a sensible recipe follows from; see `dial` for those that suit a network.

    Attributes:
        weights: what the network begins with, as a recipe says it. freeze_backbone: train its head alone.
        path: folder of the images, for data that need one; relative ones lie below the data root.
        keep_macs: share of the multiply-accumulates that remains, in per cent; 100 means no pruning.
        criterion: which channels go first, a name in the catalog.
        quantize: how the network is brought to few bits, a name in the catalog; "" means not at all.
        epochs: training before anything is removed; 0 means none.
        rounds: pruning rounds. between_epochs: training between them. round_to: channels come in multiples.
        finetune_epochs: training after pruning; finetune_rate: its learning rate, 0 means the network's own.
        image_size: pixels; 0 means the data's own. train_samples: 0 means all.

    """

    model: str = "lenet5"
    weights: str = "none"
    freeze_backbone: bool = False
    data: str = "digits"
    path: str = ""
    keep_macs: int = 40
    criterion: str = "l2"
    quantize: str = "static"
    epochs: float = 15.0
    rounds: int = 2
    between_epochs: float = 3.0
    round_to: int = 2
    finetune_epochs: float = 8.0
    finetune_rate: float = 0.001
    distill: bool = True
    batch_size: int = 32
    image_size: int = 0
    train_samples: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """Return the name that the recipe gets."""
        # timm's names have a colon, which the name of a recipe may not have.
        parts = [re.sub(r"[^A-Za-z0-9_.-]+", "-", self.model), self.data]
        parts += [f"{self.keep_macs}pct"] if self.keep_macs < 100 else []
        parts += [_label(self.quantize)] if self.quantize else []
        return "-".join(parts)


def yaml_of(draft: Draft) -> str:
    """Return the recipe that the choices lead to."""
    return recipe_text.write(document(draft))


def checked(text: str) -> tuple[Recipe | None, list[tuple[str, str]]]:
    """Return the recipe, or None and everything that is wrong with it: (path, message)."""
    try:
        return from_browser(text), []
    except RecipeError as error:
        return None, error.problems


def problems(text: str) -> list[tuple[str, str]]:
    """Return everything that is wrong with a recipe: (path, message); nothing when it can run."""
    return checked(text)[1]


def from_browser(text: str) -> Recipe:
    """Read a recipe that came from a browser, where it may name nothing that would be imported.

    Raises:
        RecipeError: the recipe is wrong, or names code.

    """
    recipe = parse_recipe(text)
    if refused := code_problems(recipe.model_dump()):
        raise RecipeError(refused)
    return recipe


def start(studio: Studio, text: str) -> Run:
    """Queue a run.

    Raises:
        RecipeError: the recipe is wrong. StoreError: the store cannot take it.

    """
    return studio.queue.submit(from_browser(text))


def recipe_of_run(studio: Studio, run_id: str) -> str:
    """Return the recipe of a run, to start from.

    Raises:
        RunNotFound: there is no such run.

    """
    return studio.store.run(run_id).recipe_yaml


def document(draft: Draft) -> dict[str, Any]:
    """Return the recipe that the choices lead to, as plain data."""
    data: dict[str, Any] = {"name": draft.data}
    if draft.path:
        data["path"] = draft.path
    if draft.image_size:
        data["image_size"] = draft.image_size
    if draft.train_samples:
        data["train_samples"] = draft.train_samples
    steps: list[dict[str, Any]] = []
    if draft.epochs:
        steps.append(
            {"kind": "train", "epochs": recipe_text.short(draft.epochs), "batch_size": draft.batch_size}
        )
    if draft.keep_macs < 100:
        steps += [_prune(draft), _finetune(draft)]
    if draft.quantize:
        method = {} if draft.quantize == DEFAULT_METHOD else {"method": draft.quantize}
        steps.append({"kind": "quantize"} | method)
    return {
        "version": 1,
        "name": draft.name,
        "seed": draft.seed,
        "model": _model(draft),
        "data": data,
        "steps": steps,
    }


def _model(draft: Draft) -> dict[str, Any]:
    model: dict[str, Any] = {"name": draft.model}
    if draft.weights != "none":
        model["weights"] = draft.weights
    if draft.freeze_backbone:
        model["freeze_backbone"] = True
    return model


def _prune(draft: Draft) -> dict[str, Any]:
    return {
        "kind": "prune",
        "criterion": draft.criterion,
        "target": {"macs": draft.keep_macs / 100},
        "rounds": draft.rounds,
        "finetune_epochs": recipe_text.short(draft.between_epochs) if draft.rounds > 1 else 0,
        "round_to": draft.round_to,
    }


def _finetune(draft: Draft) -> dict[str, Any]:
    step: dict[str, Any] = {
        "kind": "finetune",
        "epochs": recipe_text.short(draft.finetune_epochs),
        "batch_size": draft.batch_size,
    }
    if draft.finetune_rate:
        step["learning_rate"] = draft.finetune_rate
    if draft.distill:
        step["distill"] = {"teacher": "baseline"}
    return step


def _label(method: str) -> str:
    """Return what the numbers of a method's artifact are called: ``int8``."""
    step: QuantizeStep = QUANTIZERS[method].load()(kind="quantize", method=method)
    return step.label

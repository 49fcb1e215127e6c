"""How long a recipe takes on this machine, judged by earlier runs of the same network on the same data."""

import socket
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slimcast.errors import RecipeError
from slimcast.recipe import Recipe, parse_recipe
from slimcast.records import EventKind, Run, RunState
from slimcast_web.services.studio import Studio

if TYPE_CHECKING:
    from slimcast.store import Store

_LOOKED_AT = 200
_JUDGED_BY = 8
_KEPT = 512


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long a recipe may take.

    Attributes:
        seconds: of the steps that can be judged. runs: how many earlier runs they are judged by.
        unknown: titles of steps that no earlier run has done.
    """

    seconds: float
    runs: int
    unknown: tuple[str, ...] = ()


def expected(studio: Studio, recipe: Recipe) -> Duration | None:
    """Return how long a recipe may take; None where no earlier run on this machine tells anything."""
    runs = _like(studio.store, recipe)
    done: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for run, earlier in runs:
        for index, seconds in _seconds_of_steps(studio.store, run.id):
            if index < len(earlier.steps):
                step = earlier.steps[index]
                done[_sort(step)].append((seconds, _work(step)))
    total, unknown = 0.0, []
    for step in recipe.steps:
        if found := done.get(_sort(step)):
            total += _work(step) * sum(took for took, _ in found) / sum(work for _, work in found)
        else:
            unknown.append(_sort(step))
    if not total:
        return None
    return Duration(seconds=total, runs=len(runs), unknown=tuple(dict.fromkeys(unknown)))


def _like(store: "Store", recipe: Recipe) -> list[tuple[Run, Recipe]]:
    here = f"{socket.gethostname()}:"
    found = []
    for run in store.runs(limit=_LOOKED_AT, state=RunState.SUCCEEDED):
        if not run.worker.startswith(here) or recipe.model.name not in run.recipe_yaml:
            continue
        earlier = _parsed(run.recipe_yaml)
        if earlier is not None and earlier.model.name == recipe.model.name and _same_data(earlier, recipe):
            found.append((run, earlier))
        if len(found) == _JUDGED_BY:
            break
    return found


def _same_data(one: Recipe, other: Recipe) -> bool:
    fields = ("name", "path", "image_size", "train_samples")
    return all(getattr(one.data, name) == getattr(other.data, name) for name in fields)


def _sort(step: Any) -> str:
    """Return what steps that cost alike have in common."""
    if step.kind == "quantize":
        return f"quantize ({step.method})"
    return str("train" if step.kind == "finetune" else step.kind)


def _work(step: Any) -> float:
    """Return what a step's time grows with: its epochs of training; 1 where it trains none."""
    epochs = getattr(step, "epochs", 0.0)
    if step.kind in {"prune", "sparsify"}:
        epochs = step.rounds * step.finetune_epochs
    if step.kind == "prune" and step.regularize is not None:
        epochs += step.regularize.epochs
    return float(epochs) if step.kind in {"train", "finetune"} else max(1.0, float(epochs))


@lru_cache(maxsize=_KEPT)
def _parsed(text: str) -> Recipe | None:
    try:
        return parse_recipe(text)
    except RecipeError:
        return None  # made by another version


@lru_cache(maxsize=_KEPT)
def _seconds_of_steps(store: "Store", run_id: str) -> tuple[tuple[int, float], ...]:
    """Return (index, seconds) of the steps of a finished run; its rows do not change any more."""
    begun: dict[int, float] = {}
    took: list[tuple[int, float]] = []
    for event in store.events(run_id, kinds=[EventKind.STEP]):
        index, status = int(event.data["index"]), event.data["status"]
        if status == "started":
            begun[index] = event.at
        elif status == "finished" and index in begun:
            took.append((index, event.at - begun[index]))
    return tuple(took)

"""The space of a search: paths into a recipe, what may stand there, and the recipe that comes of it."""

import copy
import itertools
import json
from collections.abc import Mapping
from typing import Any, Protocol

import yaml

from slimcast.recipe import Recipe, parse_recipe
from slimcast.search.document import Choices, Dimension, Range, SearchDocument

KEEP, DROP = "keep", "drop"
_MOST_CORNERS = 64
_DIGITS = 4  # significant ones: the recipe of a trial is there to be read


class Suggests(Protocol):
    """The part of an Optuna trial that chooses values."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Choose a whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Choose a number."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Choose one of the choices."""


def is_step(path: str) -> bool:
    """Return whether a path names a whole step: ``steps.2``."""
    head, _, index = path.partition(".")
    return head == "steps" and index.isdecimal()


def step_of(path: str) -> str | None:
    """Return the step in which a path lies: ``steps.2`` for ``steps.2.epochs``; None where in none."""
    parts = path.split(".")
    return ".".join(parts[:2]) if parts[0] == "steps" and len(parts) > 1 else None


def draw(space: Mapping[str, Dimension], trial: Suggests) -> dict[str, Any]:
    """Choose a value for each path; what lies in a step that is dropped or replaced is not asked for."""
    values: dict[str, Any] = {}
    for path in sorted(space, key=lambda path: not is_step(path)):  # steps first: the rest depends on them
        step = step_of(path)
        if step is None or is_step(path) or values.get(step, KEEP) == KEEP:
            values[path] = _choose(path, space[path], trial)
    return values


def label(choice: Any) -> bool | int | float | str | None:
    """Return how a choice is kept and shown: as it is, a whole part of a recipe as JSON."""
    if choice is None or isinstance(choice, bool | int | float | str):
        return choice
    return json.dumps(choice, sort_keys=True)


def corners(space: Mapping[str, Dimension]) -> list[dict[str, Any]]:
    """Return the extreme choices: all combinations of ends where these are few, else each end by itself."""
    ends = {path: _ends(dimension) for path, dimension in space.items()}
    combinations = 1
    for values in ends.values():
        combinations *= len(values)
    if combinations <= _MOST_CORNERS:
        found = [dict(zip(ends, chosen, strict=True)) for chosen in itertools.product(*ends.values())]
    else:
        first = {path: values[0] for path, values in ends.items()}
        found = [first, {path: values[-1] for path, values in ends.items()}]
        found += [first | {path: value} for path, values in ends.items() for value in values[1:]]
    return [_without_moot(values) for values in found]


def applied(recipe: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe document with the chosen values in it."""
    document = copy.deepcopy(dict(recipe))
    dropped: list[int] = []
    for path in sorted(values, key=lambda path: not is_step(path)):
        if not is_step(path):
            _put(document, path.split("."), values[path])
        elif values[path] == DROP:
            dropped.append(int(path.split(".")[1]))
        elif values[path] != KEEP:
            document["steps"][int(path.split(".")[1])] = copy.deepcopy(values[path])
    for index in sorted(dropped, reverse=True):
        del document["steps"][index]
    return document


def recipe_of(search: SearchDocument, values: Mapping[str, Any], name: str) -> Recipe:
    """Return the recipe of a trial.

    Raises:
        RecipeError: these values make no valid recipe.
    """
    document = applied(search.recipe, values) | {"name": name}
    return parse_recipe(yaml.safe_dump(document, sort_keys=False))


def readable(value: Any) -> Any:
    """Return a number with few digits; anything else as it is."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _choose(path: str, dimension: Dimension, trial: Suggests) -> Any:
    if isinstance(dimension, Choices):
        by_label = {label(choice): choice for choice in dimension.choices}
        return by_label[trial.suggest_categorical(path, list(by_label))]
    low, high, step = dimension.low, dimension.top, dimension.step
    if dimension.is_whole:
        return trial.suggest_int(path, int(low), int(high), step=int(step or 1), log=dimension.log)
    value = trial.suggest_float(path, float(low), float(high), step=step, log=dimension.log)
    return min(max(readable(value), low), high)


def _ends(dimension: Range | Choices) -> tuple[Any, ...]:
    return dimension.choices if isinstance(dimension, Choices) else (dimension.low, dimension.top)


def _without_moot(values: dict[str, Any]) -> dict[str, Any]:
    def counts(path: str) -> bool:
        step = step_of(path)
        return step is None or is_step(path) or values.get(step, KEEP) == KEEP

    return {path: value for path, value in values.items() if counts(path)}


def _put(document: Any, parts: list[str], value: Any) -> None:
    """Put a value at a path; a mapping that is not there yet is made (`parse` has checked the steps)."""
    for part in parts[:-1]:
        if isinstance(document, list):
            document = document[int(part)]
            continue
        if not isinstance(document.get(part), dict | list):
            document[part] = {}
        document = document[part]
    document[parts[-1]] = copy.deepcopy(value)

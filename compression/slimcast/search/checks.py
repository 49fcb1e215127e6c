"""What can be wrong with a search although each field by itself is right."""

from collections.abc import Mapping
from typing import Any

from slimcast.errors import RecipeError
from slimcast.recipe import Recipe
from slimcast.search.document import Choices, Range, SearchDocument
from slimcast.search.measures import ACCURACY_DROP, BUDGETS, MEASURES, OBJECTIVES
from slimcast.search.space import DROP, KEEP, corners, is_step, label, recipe_of

Problems = list[tuple[str, str]]
_HEADS = ("model", "data", "seed", "steps")


def semantic_problems(search: SearchDocument) -> Problems:
    """Return everything that is wrong: (path, message).

    The recipes of the extreme corners of the space are built only when nothing else is wrong.
    """
    problems = [*_objectives(search), *_budgets(search)]
    for path, dimension in search.space.items():
        problems += [(f"space.{path}", message) for message in _place(path, search)]
        sort = _choices(path, dimension) if isinstance(dimension, Choices) else _range(dimension)
        problems += [(f"space.{path}", message) for message in sort]
    return problems or _corners(search)


def _objectives(search: SearchDocument) -> Problems:
    known = ", ".join(OBJECTIVES)
    problems = [
        (f"objectives.{index}", f"unknown measurement {name!r}; known: {known}")
        for index, name in enumerate(search.objectives)
        if name not in OBJECTIVES
    ]
    if len(set(search.objectives)) < len(search.objectives):
        problems.append(("objectives", "names a measurement twice"))
    return problems


def _budgets(search: SearchDocument) -> Problems:
    problems = []
    for name, limit in search.budgets.items():
        if name not in BUDGETS:
            problems.append((f"budgets.{name}", f"unknown measurement; known: {', '.join(BUDGETS)}"))
        elif limit < 0:
            problems.append((f"budgets.{name}", f"must be at least 0, but is {limit:g}"))
        elif MEASURES[name].is_fraction and limit > 1:
            problems.append(
                (f"budgets.{name}", f"is a fraction from 0 to 1 (0.01 is one point), but is {limit:g}")
            )
    return problems


def _place(path: str, search: SearchDocument) -> list[str]:
    parts = path.split(".")
    if parts[0] not in _HEADS or not all(parts):
        return [f"is no path into a recipe; it must begin with {', '.join(_HEADS[:-1])} or {_HEADS[-1]}"]
    if parts[0] == "steps":
        given = search.recipe.get("steps")
        steps = given if isinstance(given, list) else []
        count = len(steps)
        if len(parts) < 2 or not parts[1].isdecimal() or int(parts[1]) >= count:
            return [f"names no step: the recipe has {count}, counted from 0"]
        if len(parts) > 2 and not isinstance(steps[int(parts[1])], dict):
            return ["lies in a step that is no mapping"]
    elif parts[0] in {"model", "data"} and len(parts) < 2:
        return ["must name a field of that part, such as data.train_samples"]
    outer = [other for other in search.space if path.startswith(f"{other}.") and not is_step(other)]
    return [f"lies within {other}, which is varied as well: vary one of the two" for other in outer]


def _choices(path: str, dimension: Choices) -> list[str]:
    labels = [label(choice) for choice in dimension.choices]
    problems = ["has a choice twice"] if len(set(labels)) < len(labels) else []
    if is_step(path) and any(
        choice not in (KEEP, DROP) and not isinstance(choice, dict) for choice in dimension.choices
    ):
        problems.append(f"names a whole step: each choice must be {KEEP}, {DROP} or the mapping of a step")
    return problems


def _range(dimension: Range) -> list[str]:
    problems = []
    if dimension.low >= dimension.high:
        problems.append(f"low must be less than high, but they are {dimension.low:g} and {dimension.high:g}")
    if dimension.step is not None and not 0 < dimension.step <= dimension.high - dimension.low:
        problems.append("step must be more than 0 and at most high - low")
    if dimension.log and (dimension.low <= 0 or dimension.step is not None):
        problems.append("log needs low above 0 and no step")
    return problems


def _corners(search: SearchDocument) -> Problems:
    problems: Problems = []
    for values in corners(search.space):
        try:
            recipe = recipe_of(search, values, search.name)
        except RecipeError as error:
            problems += [_blame(found, values) for found in error.problems]
            continue
        if ACCURACY_DROP in search.budgets and not _has_baseline(recipe):
            problems.append(
                (
                    f"budgets.{ACCURACY_DROP}",
                    "needs a baseline: a recipe that begins with trained weights or with a step 'train'",
                )
            )
    return list(dict.fromkeys(problems))


def _has_baseline(recipe: Recipe) -> bool:
    return recipe.steps[0].kind == "train" or recipe.model.weights != "none"


def _blame(found: tuple[str, str], values: Mapping[str, Any]) -> tuple[str, str]:
    """Return the problem of a sampled recipe under the path of the space that causes it, where plain."""
    path, message = _as_written(found[0], values), found[1]
    causes = [name for name in values if f"{path}.".startswith(f"{name}.") and values[name] != KEEP]
    causes = causes or [name for name in values if name.startswith(f"{path}.") and path.count(".") > 1]
    if causes:
        return f"space.{causes[-1]}", f"with {label(values[causes[-1]])!r}: {path}: {message}"
    if path == "steps" and DROP in values.values():
        return "space", f"with every step that may be dropped left out: {path}: {message}"
    return f"recipe.{path}" if path else "recipe", message


def _as_written(path: str, values: Mapping[str, Any]) -> str:
    """Return a path into a sampled recipe as one into the search: steps before it are missing."""
    head, *rest = path.split(".")
    if head != "steps" or not rest or not rest[0].isdecimal():
        return path
    index = int(rest[0])
    for dropped in sorted(
        int(name.split(".")[1]) for name in values if is_step(name) and values[name] == DROP
    ):
        index += dropped <= index
    return ".".join([head, str(index), *rest[1:]])

"""Read a recipe from YAML, with everything that is wrong said at once."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from slimcast.errors import RecipeError
from slimcast.recipe.data_checks import data_problems
from slimcast.recipe.document import Recipe
from slimcast.recipe.names import unknown_names
from slimcast.recipe.order import misplaced
from slimcast.recipe.problems import explain

_DEEPEST = 100


def parse_recipe(text: str) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        RecipeError: with everything that is wrong at once: syntax, fields, unknown names.
    """
    if too_deep(text):
        raise RecipeError([("", "it is nested too deeply")])
    try:
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise RecipeError([("", "it is nested too deeply")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "this is no YAML"
        raise RecipeError([(where, str(problem))]) from error
    if not isinstance(document, dict):
        raise RecipeError([("", "expected a mapping with the keys name, model, data and steps")])
    problems = unknown_names(document) + data_problems(document) + _misplaced_steps(document)
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError(_in_order(problems + explain(error), document)) from error
    if problems:
        raise RecipeError(problems)
    return recipe


def too_deep(text: str) -> bool:
    """Return whether brackets are nested so deeply that reading them would take long, and make no recipe."""
    depth = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if depth > _DEEPEST:
            return True
    return False


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        RecipeError: the file cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([("", f"cannot read {path}: {error}")]) from error
    return parse_recipe(text)


def _misplaced_steps(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Find steps that cannot be where they are, even when other errors keep `Recipe` from being built."""
    steps = document.get("steps")
    given = [step if isinstance(step, dict) else {} for step in steps] if isinstance(steps, list) else []
    return [(f"steps.{index}", message) for index, message in misplaced(given)]


def _in_order(problems: list[tuple[str, str]], document: dict[str, Any]) -> list[tuple[str, str]]:
    """Sort problems as a reader meets them: by the order of the file's keys, then by step."""
    keys = [str(key) for key in document]

    def place(problem: tuple[str, str]) -> tuple[int, int]:
        first, *rest = problem[0].split(".")
        return (
            keys.index(first) if first in keys else len(keys),
            int(rest[0]) if rest and rest[0].isdecimal() else 0,
        )

    return sorted(problems, key=place)

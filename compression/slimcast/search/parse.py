"""Read a search file, with everything that is wrong said at once, before anything starts."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slimcast.errors import RecipeError, SearchError
from slimcast.search.checks import semantic_problems
from slimcast.search.document import Choices, Range, SearchDocument

Problems = list[tuple[str, str]]


def parse_search(text: str, folder: Path | None = None) -> SearchDocument:
    """Read a search from YAML; a recipe that it names by path is put inside.

    Args:
        text: the YAML.
        folder: where a relative path of a recipe starts; None: there is no file, and no such path.

    Raises:
        SearchError: with everything that is wrong at once.
    """
    document = _mapping(text, ", ".join(SearchDocument.model_fields))
    problems = _put_recipe_inside(document, folder)
    try:
        search = SearchDocument.model_validate(document)
    except ValidationError as error:
        said = {path for path, _ in problems}
        problems += [found for found in map(_say, error.errors(include_url=False)) if found[0] not in said]
        raise SearchError(_in_order(problems, document)) from error
    problems += semantic_problems(search)
    if problems:
        raise SearchError(_in_order(problems, document))
    return search


def load_search(path: Path) -> SearchDocument:
    """Read a search file.

    Raises:
        SearchError: the file cannot be read, or is wrong.
    """
    return parse_search(_read(path, ""), path.parent)


def _mapping(text: str, keys: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise SearchError([("", "it is nested too deeply")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SearchError([(where, str(getattr(error, "problem", None) or "this is no YAML"))]) from error
    if not isinstance(document, dict):
        raise SearchError([("", f"expected a mapping with the keys {keys}")])
    return document


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SearchError([(where, f"cannot read {path}: {error}")]) from error


def _put_recipe_inside(document: dict[str, Any], folder: Path | None) -> Problems:
    """Replace the path of a recipe by what the file says; return what is wrong with that."""
    named = document.get("recipe")
    if not isinstance(named, str):
        return []
    if folder is None:
        return [("recipe", f"{named!r} is a path; here the recipe itself must stand in the search")]
    try:
        document["recipe"] = _mapping(_read(folder / Path(named).expanduser(), ""), "model, data and steps")
    except RecipeError as error:
        return [("recipe", f"{place}: {message}" if place else message) for place, message in error.problems]
    return []


def _say(item: ErrorDetails) -> tuple[str, str]:
    """Say in plain English what pydantic found, and where."""
    location = item["loc"]
    # Pydantic puts the sort of a dimension behind its path: of no use to a reader.
    path = ".".join(
        str(part)
        for i, part in enumerate(location)
        if not (i == 2 and location[0] == "space" and i != len(location) - 1)
    ).removesuffix(".choices" if item["type"] == "model_attributes_type" else "")
    given = item["input"]
    shown = f", but is {given!r}" if isinstance(given, str | int | float | bool) else ""
    if item["type"] == "extra_forbidden":
        return path, f"unknown field; known: {', '.join(_known(location).model_fields)}"
    if item["type"] == "missing":
        return path, "missing; it has no default"
    if item["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return path, f"must be a mapping of fields{shown}"
    if item["type"] == "string_pattern_mismatch":
        return path, "must be 1 to 80 of A-Z a-z 0-9 _ . - and begin with a letter or digit" + shown
    return path, item["msg"].replace("Input should be", "must be") + shown


def _known(location: tuple[int | str, ...]) -> type[BaseModel]:
    if location[0] != "space":
        return SearchDocument
    return Choices if "choices" in location[2:] else Range


def _in_order(problems: Problems, document: dict[str, Any]) -> Problems:
    """Sort problems as a reader meets them: by the order of the file's keys."""
    keys = [str(key) for key in document]

    def place(problem: tuple[str, str]) -> int:
        first = problem[0].partition(".")[0]
        return keys.index(first) if first in keys else len(keys)

    return sorted(problems, key=place)

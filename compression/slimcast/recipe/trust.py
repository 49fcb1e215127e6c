"""What a recipe may name only if a person at this machine has written it: code that would be imported."""

from collections.abc import Mapping
from typing import Any

from slimcast.catalog.open_networks import is_own

_REFUSED = (
    "a network of one's own is code, which a browser must not name; start the recipe with 'slimcast run', or "
    "upload safetensors for a network of the catalog"
)


def code_problems(recipe: Any, space: Any = None) -> list[tuple[str, str]]:
    """Return what must not come from a browser, as (path, message).

    Args:
        recipe: the document of a recipe. Everything else that is wrong with it is for others to say.
        space: what a search varies in it.
    """
    problems = [("model.name", _REFUSED)] if _names_code(_part(recipe, "model")) else []
    for path, dimension in space.items() if isinstance(space, Mapping) else ():
        choices = _part(dimension, "choices")
        for choice in choices if isinstance(choices, list | tuple) else ():
            model = {"name": choice} if path == "model.name" else choice
            if path in {"model", "model.name"} and _names_code(model):
                problems.append((f"space.{path}", _REFUSED))
    return problems


def _names_code(model: Any) -> bool:
    name = _part(model, "name")
    return isinstance(name, str) and is_own(name)


def _part(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, Mapping) else None

"""Say in plain English what pydantic found wrong with a recipe."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slimcast.catalog import QUANTIZERS, STEPS
from slimcast.recipe.document import Recipe


def explain(error: ValidationError) -> list[tuple[str, str]]:
    """Say in plain English what pydantic found; leave out what only follows from something else."""
    found = error.errors(include_url=False)
    in_steps = any(item["loc"][:1] == ("steps",) and len(item["loc"]) > 1 for item in found)
    problems = []
    for item in found:
        if item["type"] == "too_short" and item["loc"] == ("steps",) and in_steps:
            continue  # pydantic does not count the steps that are wrong
        if item["type"] == "value_error" and not item["loc"]:
            continue  # the order of the steps: `parse._misplaced_steps` has said it, and where
        if item["type"] == "union_tag_invalid" and len(item["loc"]) > 2:
            continue  # a method of `quantize`: `unknown_names` has said it
        problems.append((_path(item["loc"]), _plain(item)))
    return problems


def _plain(item: ErrorDetails) -> str:
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    shown = f", but is {given!r}" if isinstance(given, str | int | float | bool) else ""
    if kind == "extra_forbidden":
        return f"unknown field; known: {', '.join(_known_fields(item['loc']))}"
    if kind == "union_tag_invalid":
        return f"unknown step {context['tag']!r}; known: {', '.join(STEPS.names())}"
    if kind == "union_tag_not_found":
        return f"expected a mapping with a 'kind'; known kinds: {', '.join(STEPS.names())}"
    if kind in _BOUNDS:
        limit = next(iter(context.values()))
        return f"must be {_BOUNDS[kind]} {limit:g}{shown}"
    if kind == "value_error":  # a part's own check
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}{shown}"
    if kind == "value_error":  # of a validator of ours
        return str(context["error"])
    if kind == "too_short":
        least = context["min_length"]
        return (
            "must have at least one step"
            if item["loc"] == ("steps",)
            else f"must have {least} entries or more"
        )
    return _PLAIN[kind] + shown if kind in _PLAIN else item["msg"]


_BOUNDS = {
    "less_than": "less than",
    "less_than_equal": "at most",
    "greater_than": "more than",
    "greater_than_equal": "at least",
}
_WHOLE, _MAPPING = "must be a whole number", "must be a mapping of fields"
_PLAIN = {
    "missing": "missing; it has no default",
    "string_type": "must be text",
    "string_pattern_mismatch": "must be 1 to 100 of A-Z a-z 0-9 _ . - and begin with a letter or digit",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "tuple_type": "must be a list",
    "too_long": "has too many entries",
}


def _known_fields(location: tuple[int | str, ...]) -> list[str]:
    """Return the fields of the part in which an unknown one stands."""
    part: Any = Recipe
    for name in location[:-1]:
        if isinstance(name, str) and name in part.model_fields:
            annotation = part.model_fields[name].annotation
            candidates = [annotation, *get_args(annotation)]
            part = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), part)
        elif name in STEPS:
            part = STEPS[str(name)].load()
        elif name in QUANTIZERS:
            part = QUANTIZERS[str(name)].load()
    return list(part.model_fields)


def _path(location: tuple[int | str, ...]) -> str:
    # Pydantic puts the discriminators ("quantize", "static") between a step's index and its field: of no use
    # to a reader.
    kinds, methods = set(STEPS.names()), set(QUANTIZERS.names())
    shown = [
        str(part)
        for i, part in enumerate(location)
        if not (i == 2 and part in kinds) and not (i == 3 and location[2] == "quantize" and part in methods)
    ]
    return ".".join(shown)

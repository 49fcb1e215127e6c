"""What is wrong with settings, in words for the person who wrote them."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_PLAIN = {
    "missing": "missing; it has no default",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_type": "must be text, in quotes",
    "path_type": "must be a path, in quotes",
    "dict_type": "must be a table",
}
_BOUNDS = {
    "less_than": "less than",
    "less_than_equal": "at most",
    "greater_than": "more than",
    "greater_than_equal": "at least",
}
_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,"


def problems_in(error: ValidationError, known: Iterable[str]) -> list[tuple[str, str]]:
    """Return each problem as (where, what).

    Args:
        error: of checking a table.
        known: the names of all settings that the table may have.

    """
    return [
        (".".join(map(str, item["loc"])), _plain(item, list(known)))
        for item in error.errors(include_url=False)
    ]


def _plain(item: ErrorDetails, known: list[str]) -> str:
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    where = str(item["loc"][-1]) if item["loc"] else ""
    is_secret = "password" in where
    shown = f", but is {given!r}"[:100] if isinstance(given, str | int | float) and not is_secret else ""
    if kind == "missing":
        return _PLAIN[kind]
    if kind == "extra_forbidden":
        return f"there is no such setting{_meant(where, known)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        return f"must be {_BOUNDS[kind]} {next(iter(context.values())):g}{shown}"
    if kind == "literal_error":
        return f"must be {context['expected']}{shown}"
    if kind == "string_pattern_mismatch":
        return _shape(str(context["pattern"])) + shown
    return _PLAIN[kind] + shown if kind in _PLAIN else item["msg"]


def _meant(written: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(written, known, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return "; `slimcast-edge init` writes a file with all of them"


def _shape(pattern: str) -> str:
    if pattern.startswith(_NAME):
        longest = 1 + int(pattern.removeprefix(_NAME).rstrip("}$"))
        return f"must be 1 to {longest} of A-Z a-z 0-9 _ . - with a letter or digit first"
    return f"must match {pattern}"

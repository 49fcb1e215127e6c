"""A recipe as text and as plain data, and the small changes that a form makes to it.

A path names a place in it, as in the problems of a recipe: ``steps.2.target.macs``.
"""

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

from slimcast.catalog import STEPS
from slimcast.recipe.parse import too_deep

MAX_BYTES = 256 * 1024
"""A recipe that is larger is no recipe."""

_NEW_STEPS: dict[str, dict[str, Any]] = {
    "prune": {"target": {"macs": 0.5}},
    "netadapt": {"target": {"latency_ms": 0.6}},
}


@lru_cache(maxsize=64)
def read(text: str) -> dict[str, Any] | None:
    """Return the document; None where the text is no YAML mapping, or has anchors, which no form can keep.

    Documents are shared between callers: none of them may change one.
    """
    try:
        document = None if too_deep(text) else yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def short(number: float) -> float:
    """Return a whole number without its ``.0``: the recipe is there to be read."""
    return int(number) if number == int(number) else number


def write(document: Mapping[str, Any]) -> str:
    """Return the document as YAML that a person likes to read: short parts in one line."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def get(document: Any, path: str) -> Any:
    """Return what stands at a path; None where there is nothing."""
    for key in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the document with `value` at a path; None takes the field away, and parts that it leaves empty.

    Mappings on the way are made.
    """
    changed = copy.deepcopy(document)
    places: list[Any] = [changed]
    *way, last = path.split(".")
    for key in way:
        place = places[-1]
        if isinstance(place, dict) and not isinstance(place.get(key), dict | list):
            place[key] = {}
        places.append(place[int(key)] if isinstance(place, list) else place[key])
    if value is not None:
        places[-1][last] = value
        return changed
    for place, key in zip(reversed(places), reversed([*way, last]), strict=True):
        if isinstance(place, list):
            break
        place.pop(key, None)
        if place:
            break
    return changed


def add_step(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the document with one more step: before a last `quantize`, after which none may follow."""
    steps = _steps(document)
    step = {"kind": kind} | copy.deepcopy(_NEW_STEPS.get(kind, {}))
    at_end = kind == "quantize" or not (steps and get(steps[-1], "kind") == "quantize")
    place = len(steps) if at_end else len(steps) - 1
    return document | {"steps": [*steps[:place], step, *steps[place:]]}


def remove_step(document: dict[str, Any], index: int) -> dict[str, Any]:
    """Return the document without a step."""
    return document | {"steps": [step for i, step in enumerate(_steps(document)) if i != index]}


def move_step(document: dict[str, Any], index: int, by: int) -> dict[str, Any]:
    """Return the document with a step `by` places further on; as it is where there is no such place."""
    steps = list(_steps(document))
    if 0 <= index + by < len(steps):
        steps.insert(index + by, steps.pop(index))
    return document | {"steps": steps}


def step_kinds(document: Mapping[str, Any]) -> list[str]:
    """Return the kind of each step, "" where it names none that is known."""
    kinds = [get(step, "kind") for step in _steps(document)]
    return [kind if isinstance(kind, str) and kind in STEPS else "" for kind in kinds]


def _steps(document: Mapping[str, Any]) -> list[Any]:
    steps = document.get("steps")
    return steps if isinstance(steps, list) else []


class _Loader(yaml.SafeLoader):
    """Takes no aliases: written out again, a few of them could fill the memory."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """Refuse an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases cannot be edited")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what is nested once, and is short, in braces."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: an alias would be hard to edit."""
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """Put a mapping of plain values into braces, unless it is the document itself."""
        node: yaml.MappingNode = super().represent_mapping(tag, mapping, flow_style)
        flat = all(isinstance(value, yaml.ScalarNode) for _, value in node.value)
        node.flow_style = flat and "version" not in mapping and len(mapping) <= _FLAT
        return node

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        """Put a list of plain values into brackets."""
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = all(isinstance(value, yaml.ScalarNode) for value in node.value)
        return node


_FLAT = 4

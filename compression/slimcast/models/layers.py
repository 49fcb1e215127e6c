"""Layers with weights, and the name patterns by which a recipe chooses among them."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from torch import nn

from slimcast.errors import StepError

Weighted = nn.Conv2d | nn.Linear
T = TypeVar("T")

_NAMES_SHOWN = 8


def weighted_layers(model: nn.Module) -> dict[str, Weighted]:
    """Return convolutions and linear layers by their name, in the order of the network."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns (``layer1.*``; ``*`` also matches dots) fits a layer's name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def by_pattern(name: str, values: Mapping[str, T]) -> T | None:
    """Return the value of the first pattern that fits a layer's name, None where none does."""
    return next((value for pattern, value in values.items() if fnmatchcase(name, pattern)), None)


def check_patterns(patterns: Iterable[str], names: Iterable[str], field: str) -> None:
    """See that each pattern of a recipe's field fits some layer.

    Raises:
        StepError: one fits none; the message says what layers there are.
    """
    known = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            some = ", ".join(known[:_NAMES_SHOWN]) + (", ..." if len(known) > _NAMES_SHOWN else "")
            raise StepError(f"{field}: {pattern!r} fits no layer of this network. Its layers: {some}")

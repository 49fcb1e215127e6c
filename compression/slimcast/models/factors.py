"""A layer that was replaced by the product of smaller ones, described as plain data and built from it.

The catalog builds a network with its whole layers; a checkpoint names those that were factorized since, and
what stands in their place. Nothing is pickled.
"""

from typing import Any

from torch import nn

from slimcast.errors import ModelError

Description = list[dict[str, Any]]
"""Of each factor: its kind (``conv`` or ``linear``) and the arguments that build it."""

_CONV = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "padding_mode",
)
_LINEAR = ("in_features", "out_features")


class Factors(nn.Sequential):
    """Convolutions, or linear layers, that together stand in the place of one."""


def describe(factors: Factors) -> Description:
    """Return what `restored` needs to build the same layers."""
    return [_describe(layer) for layer in factors]


def restored(description: Description) -> Factors:
    """Build the layers again; their weights are random.

    Raises:
        ModelError: this describes no factors.
    """
    try:
        return Factors(*(_build(dict(one)) for one in description))
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"The checkpoint describes factors that cannot be built: {error}") from error


def factorized(model: nn.Module) -> dict[str, Factors]:
    """Return what stands in the place of factorized layers, by the layer's name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Factors)}


def _describe(layer: nn.Module) -> dict[str, Any]:
    kind, names = ("conv", _CONV) if isinstance(layer, nn.Conv2d) else ("linear", _LINEAR)
    arguments = {name: getattr(layer, name) for name in names}
    return {"kind": kind, "bias": layer.bias is not None} | arguments


def _build(arguments: dict[str, Any]) -> nn.Module:
    kind = arguments.pop("kind")
    lists = {name: tuple(value) for name, value in arguments.items() if isinstance(value, list)}
    if kind not in {"conv", "linear"}:
        raise ValueError(f"unknown kind {kind!r}")
    return nn.Conv2d(**arguments | lists) if kind == "conv" else nn.Linear(**arguments)

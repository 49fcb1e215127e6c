"""Weights of few bits through optimum-quanto: which layer gets which format, checked by name.

Banner et al. 2019 (arXiv:1810.05723) for post-training 4-bit weights; trained through the rounding with
straight-through gradients (Bengio, Leonard and Courville 2013, arXiv:1308.3432).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.models.head import final_classifier
from slimcast.models.layers import Weighted, check_patterns, matches, weighted_layers
from slimcast.models.quanto import FORMATS, LayerFormat, can_be_low_bit, group_of, plain, put, quanto_layers
from slimcast.reporting import Reporter

Ends = Literal["auto", "int8", "float", "same"]
_FEW_BITS = {"int4", "int2"}


@dataclass(frozen=True, kw_only=True)
class WeightPlan:
    """Which weights get how many bits.

    Attributes:
        weights: a name of `slimcast.models.quanto.FORMATS`.
        keep: name patterns of layers that stay in float.
        ends: what the first and the last layer get: ``int8``, ``float``, the ``same`` as all others, or
            ``auto``: int8 where the others get 4 bits or fewer. They are small, and suffer most.
        activations: ``int8``, ``float8``, or "" for float. int8 asks for weights that integer kernels take.
    """

    weights: str
    keep: tuple[str, ...] = ()
    ends: Ends = "auto"
    activations: str = ""


@dataclass(frozen=True, kw_only=True)
class RoundedLayer:
    """What rounding did to a layer: the root mean square of the change beside the weights' own."""

    name: str
    weights: str
    error: float
    values: int


def with_low_bits(model: nn.Module, plan: WeightPlan, *, reporter: Reporter) -> nn.Module:
    """Return a copy of the network whose weights are rounded each time it runs; it can be trained.

    Raises:
        StepError: a weight is no number, a pattern fits no layer, or no layer is left to be rounded.
    """
    layers = weighted_layers(model)
    check_weights(model)
    check_patterns(plan.keep, layers, "keep")
    formats = _formats(layers, plan, final_classifier(model)[0])
    stay = [name for name in layers if name not in formats]
    if not formats:
        raise StepError(
            f"Nothing to quantize: all {len(layers)} layers stay in float, by 'keep', 'ends' or kind. "
            "Name fewer layers in keep."
        )
    if stay:
        reporter.log(f"{len(stay)} of {len(layers)} layers stay in float: {', '.join(stay)}")
    return with_formats(model, formats, plan.activations)


def with_formats(model: nn.Module, formats: Mapping[str, str], activations: str) -> nn.Module:
    """Return a copy with the layers of these names rounded, each to its format; all others stay in float.

    Args:
        model: in float.
        formats: names of `slimcast.models.quanto.FORMATS` by layer.
        activations: as of `WeightPlan`.
    """
    out = copy.deepcopy(model)
    kind = FORMATS[activations] if activations else ""
    for name, weights in formats.items():
        group = scale_group(out.get_submodule(name).weight, weights, activations)  # type: ignore[arg-type]
        put(out, name, LayerFormat(weights=FORMATS[weights], group=group, activations=kind))
    return out


def scale_group(weight: Tensor, weights: str, activations: str) -> int | None:
    """Return how many weights share a scale, None for those of an output channel."""
    # Integer kernels take one scale for each output channel.
    return None if activations == "int8" else group_of(weight, FORMATS[weights])


def _formats(layers: Mapping[str, Weighted], plan: WeightPlan, last: str) -> dict[str, str]:
    """Return the format of each layer that is rounded."""
    few = plan.weights in _FEW_BITS
    ends = plan.ends if plan.ends != "auto" else ("int8" if few else "same")
    found = {
        name: plan.weights
        for name, layer in layers.items()
        if can_be_low_bit(layer) and not matches(name, plan.keep)
    }
    for name in {next(iter(layers)), last} & found.keys():
        if ends == "float":
            del found[name]
        elif ends == "int8":
            found[name] = "int8"
    return found


def check_weights(model: nn.Module) -> None:
    """See that all weights are numbers.

    Raises:
        StepError: one is not; by the layer's name.
    """
    for name, layer in weighted_layers(model).items():
        weights = plain(layer.weight.detach())
        bad = int((~torch.isfinite(weights)).sum())
        if bad:
            raise StepError(
                f"{name}: {bad} of {weights.numel()} weights are no numbers (NaN or infinite), which no bits "
                "can hold. Train again with a lower learning rate, or begin with other weights."
            )


def rounding_errors(model: nn.Module) -> list[RoundedLayer]:
    """Return what rounding does to each layer that is not frozen yet, in the order of the network."""
    names = {quanto: ours for ours, quanto in FORMATS.items()}
    found = []
    for name, layer in quanto_layers(model).items():
        if layer.weight_qtype is None:
            continue
        with torch.no_grad():
            whole, rounded = layer.weight.detach(), plain(layer.qweight).detach()
        size = float(whole.square().mean().sqrt())
        error = float((rounded - whole).square().mean().sqrt()) / max(size, 1e-30)
        found.append(
            RoundedLayer(name=name, weights=names[layer.weight_qtype.name], error=error, values=whole.numel())
        )
    return found

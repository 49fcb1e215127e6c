"""Few bits by training: which layers get how many, and where the ranges of their inputs end."""

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.measure.observe import observe
from slimcast.models.layers import Weighted, check_patterns, matches, weighted_layers
from slimcast.models.lowbit import Scheme, lowbit_layers, put_lowbit

EIGHT_BITS = Scheme(weights="int8", weight_bits=8)
_SEEN = 50_000  # values of a layer's input, at most, from which its range is found


@dataclass(frozen=True, kw_only=True)
class LowBitPlan:
    """What to do.

    Attributes:
        scheme: of the layers between the first and the last.
        keep: name patterns of layers that get eight bits, too.
    """

    scheme: Scheme
    keep: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class LayerBits:
    """How one layer is kept, and why where that is not what the plan says."""

    layer: str
    weight_bits: int
    input_bits: int
    weights: int
    why: str = ""


def put_in_place(model: nn.Module, plan: LowBitPlan, example: Tensor) -> tuple[nn.Module, list[LayerBits]]:
    """Return a copy of the network with few bits, and how each layer is kept.

    First and last layer get eight bits, as do depthwise convolutions: they are small, and suffer most.

    Args:
        model: trained in float32; is left as it is.
        plan: what to do.
        example: one image, (1, C, H, W).

    Raises:
        StepError: the network has few bits already, a weight is no number, a pattern of `keep` fits
            nothing, or no layer is left for few bits.
    """
    _check(model, plan)
    copied = copy.deepcopy(model)
    called = _in_order(copied, example)
    rows = []
    for name, layer in called.items():
        why = _why_not(layer, first=name == next(iter(called)), last=name == next(reversed(called)))
        why = why or ("kept by the recipe" if matches(name, plan.keep) else "")
        scheme = EIGHT_BITS if why else plan.scheme
        weights = layer.weight.numel()
        if not _plain(layer):
            rows.append(LayerBits(layer=name, weight_bits=32, input_bits=32, weights=weights, why=why))
            continue
        put_lowbit(copied, name, scheme)
        bits = {"weight_bits": scheme.weight_bits, "input_bits": scheme.input_bits}
        rows.append(LayerBits(layer=name, weights=weights, why=why, **bits))
    if not any(row.why == "" for row in rows):
        raise StepError(
            f"No layer is left for {plan.scheme.weight_bits} bits: the first and the last layer, depthwise "
            "convolutions and those in keep get eight. Use method static, or a network with more layers."
        )
    return copied, rows


def fit_inputs(
    model: nn.Module, batches: Sequence[Tensor], kinds: Collection[str], *, check: Callable[[], None]
) -> None:
    """Set the ranges of the inputs of these kinds, in place.

    Args:
        model: the network, in evaluation mode.
        batches: normalised training images, each (B, C, H, W).
        kinds: see `Scheme.inputs`.
        check: is called between batches.
    """
    layers = lowbit_layers(model).items()
    grids = {name: layer.input_grid for name, layer in layers if layer.scheme.inputs in kinds}
    seen: dict[str, list[Tensor]] = {name: [] for name in grids}
    share = max(1, _SEEN // max(1, len(batches)))

    def remember(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name].append(_thinned(inputs[0].detach(), share))

        return hook

    handles = [grid.register_forward_pre_hook(remember(name)) for name, grid in grids.items()]
    try:
        with torch.no_grad():
            for batch in batches:
                check()
                model(batch)
    finally:
        for handle in handles:
            handle.remove()
    for name, grid in grids.items():
        check()
        grid.fit(torch.cat(seen[name]))


def learn_inputs(model: nn.Module) -> list[nn.Parameter]:
    """Let training move the upper ends of the inputs that are to be learnt, and return these."""
    layers = lowbit_layers(model).values()
    grids = [layer.input_grid for layer in layers if layer.scheme.inputs == "learnt"]
    for grid in grids:
        grid.learn()
    return [grid.high for grid in grids if isinstance(grid.high, nn.Parameter)]


def settle_inputs(model: nn.Module) -> None:
    """End what `learn_inputs` has begun."""
    for layer in lowbit_layers(model).values():
        layer.input_grid.settle()


def _check(model: nn.Module, plan: LowBitPlan) -> None:
    if lowbit_layers(model):
        raise StepError("This network has few bits already. Begin with the float network.")
    layers = weighted_layers(model)
    check_patterns(plan.keep, layers, "keep")
    for name, layer in layers.items():
        if not bool(torch.isfinite(layer.weight).all()):
            raise StepError(
                f"A weight of {name} is infinite or no number: the training before went wrong. Train again "
                "with a smaller learning rate or with gradient_clip."
            )


def _in_order(model: nn.Module, example: Tensor) -> dict[str, Weighted]:
    """Return the layers that the network calls, in the order in which it first does."""
    names = {layer: name for name, layer in weighted_layers(model).items()}
    order: dict[str, Weighted] = {}

    def note(module: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        order.setdefault(names[module], module)

    observe(model, example, dict.fromkeys(names, note))
    return order


def _why_not(layer: Weighted, *, first: bool, last: bool) -> str:
    if not _plain(layer):
        return "fixed or computed weights"
    if first or last:
        return "first layer" if first else "last layer"
    if isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.weight.shape[1] == 1:
        return "depthwise"
    return ""


def _plain(layer: Weighted) -> bool:
    """Return whether a layer does what torch's own does, with weights that are trained."""
    base = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
    return type(layer).forward is base.forward and layer.weight.requires_grad


def _thinned(values: Tensor, most: int) -> Tensor:
    """Return some of the values, evenly spread, and both extremes."""
    flat = values.flatten()
    return torch.cat([flat[:: max(1, -(-len(flat) // most))], torch.stack(flat.aminmax())])

"""Replace layers by the product of smaller ones, wherever that saves multiply-accumulates and weights."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from slimcast.catalog import FACTORIZERS
from slimcast.errors import StepError
from slimcast.measure.cost import count_macs
from slimcast.measure.observe import Hook, observe
from slimcast.models.factors import Factors
from slimcast.models.layers import Weighted, check_patterns, matches, weighted_layers
from slimcast.prune.low_rank_svd import Factorization, Place, RankRule, split
from slimcast.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class FactorPlan:
    """Which layers are replaced, and by what.

    Attributes:
        method: of convolutions with a window, by its name in the catalog; linear layers and 1x1 convolutions
            are matrices and take the singular value decomposition.
        layers: name patterns; empty: all but the first convolution and the classifier.
        keep: name patterns of layers that stay as they are.
    """

    method: str
    rule: RankRule
    layers: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerFactors:
    """A layer that was replaced: ranks, the share of its squared weights that stays, MACs of one image."""

    name: str
    ranks: tuple[int, ...]
    energy: float
    macs_before: int
    macs: int


def factorize(
    model: nn.Module, example: Tensor, plan: FactorPlan, *, reporter: Reporter
) -> tuple[nn.Module, list[LayerFactors]]:
    """Return a network with factors in the place of layers, and what was replaced.

    Args:
        model: is left as it is.
        example: one normalised image, (1, C, H, W).

    Raises:
        StepError: nothing was replaced, a pattern fits no layer, or the result does not work.
        Cancelled: somebody cancelled the run.
    """
    model = copy.deepcopy(model).eval()
    before = count_macs(model, example)
    with torch.no_grad():
        shape = model(example).shape
    layers, places = _chosen(model, plan), _places(model, example)
    method = FACTORIZERS[plan.method].load()
    found = []
    for index, (name, layer) in enumerate(layers.items()):
        reporter.check_cancelled()
        reporter.progress(index / len(layers), f"Factorizing, layer {index + 1} of {len(layers)}")
        result = _factors_of(layer, places.get(name), method, plan.rule)
        if result is not None:
            model.set_submodule(name, result.factors.train(False), strict=True)
            found.append(_record(name, result))
    _check(model, example, before=before, shape=shape, replaced=len(found), plan=plan)
    return model, found


def _record(name: str, result: Factorization) -> LayerFactors:
    return LayerFactors(
        name=name, ranks=result.ranks, energy=result.energy, macs_before=result.macs_before, macs=result.macs
    )


def _factors_of(
    layer: Weighted,
    place: Place | None,
    method: Callable[[nn.Conv2d, RankRule, Place], Factorization | None],
    rule: RankRule,
) -> Factorization | None:
    if place is None:  # not used for such an image
        return None
    if isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1):
        return split(layer, rule, place)
    return method(layer, rule, place)


def _chosen(model: nn.Module, plan: FactorPlan) -> dict[str, Weighted]:
    """Return the layers to work on; without groups, trained, and not factors themselves."""
    layers = weighted_layers(model)
    check_patterns(plan.layers, layers, "layers")
    check_patterns(plan.keep, layers, "keep")
    first = next((name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)), "")
    ends = {first, list(layers)[-1]} if layers else set()
    inside = tuple(f"{name}.*" for name, m in model.named_modules() if isinstance(m, Factors))
    return {
        name: layer
        for name, layer in layers.items()
        if (matches(name, plan.layers) if plan.layers else name not in ends)
        and not matches(name, plan.keep)
        and not matches(name, inside)
        and type(layer) in {nn.Conv2d, nn.Linear}  # what a network derives from them may compute otherwise
        and layer.weight.requires_grad
        and getattr(layer, "groups", 1) == 1
    }


def _places(model: nn.Module, example: Tensor) -> dict[str, Place]:
    places: dict[str, Place] = {}

    def note(name: str) -> Hook:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            places[name] = Place(positions_in=_positions(inputs[0]), positions_out=_positions(output))

        return hook

    hooks: dict[nn.Module, Hook] = {layer: note(name) for name, layer in weighted_layers(model).items()}
    observe(model, example, hooks)
    return places


def _positions(values: Tensor) -> int:
    """Return how many times a layer is computed: pixels of (N, C, H, W), rows of (N, ..., C)."""
    return prod(values.shape[2:]) if values.ndim == 4 else prod(values.shape[1:-1])


@torch.no_grad()
def _check(
    model: nn.Module, example: Tensor, *, before: int, shape: torch.Size, replaced: int, plan: FactorPlan
) -> None:
    if not replaced:
        wish = f"energy {plan.rule.energy:g}" if plan.rule.energy is not None else f"rank {plan.rule.share:g}"
        raise StepError(
            f"No layer was factorized: with {wish} none of those that were chosen would save any arithmetic. "
            "Lower it, or name other layers."
        )
    logits = model(example)
    if logits.shape != shape or not bool(logits.isfinite().all()):
        raise StepError("The factorized network no longer computes. Keep more layers, or raise the energy.")
    after = count_macs(model, example)
    if after >= before:
        raise StepError(f"Factorizing saved nothing: {before:,} multiply-accumulates became {after:,}.")

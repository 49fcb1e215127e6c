"""A network in front of the roundings of its int8 graph, to be trained as any other."""

import math
import warnings
from collections.abc import Mapping

import numpy as np
import onnx
import torch
from torch import Tensor, fx, nn

from slimcast.errors import StepError
from slimcast.quantize.grids import Grid, Rounding
from slimcast.quantize.qat.annotation import Places, RuntimeQuantizer, rounds_weight, show_norms
from slimcast.quantize.qat.program import export_program, find_values
from slimcast.quantize.qat.pt2e import prepare_qat_pt2e
from slimcast.reporting import Reporter

_PROBED = 2
_NORM, _DROPOUT = torch.ops.aten.batch_norm.default, torch.ops.aten.dropout.default
_SWITCHES = {_NORM: 5, _DROPOUT: 2}  # the place of the argument `training`
_SMALLEST = 1e-30


class RoundedNetwork(nn.Module):
    """Computes what the int8 graph will, and lets gradients pass (straight-through: Bengio et al. 2013).

    Ranges of activations are moving averages, learnt in training mode only. Input (N, C, H, W) -> (N, K).
    """

    def __init__(self, program: fx.GraphModule, rounders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.program = program
        self._rounders = dict(rounders)  # by tensor of the graph; modules of the program
        self.learns_statistics = self.learns_ranges = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.program(x)
        return logits

    def train(self, mode: bool = True) -> "RoundedNetwork":
        """Switch dropout, batch norms and observers; an exported program cannot do it by itself."""
        self.training = mode
        changed = False
        for node in self.program.graph.nodes:
            place = _SWITCHES.get(node.target)
            if place is None:
                continue
            wanted = mode and (self.learns_statistics or node.target is not _NORM)
            if node.args[place] is not wanted:
                node.update_arg(place, wanted)
                changed = True
        if changed:
            self.program.recompile()
        for rounder in self._rounders.values():
            rounder.enable_observer(mode and self.learns_ranges)  # type: ignore[operator]
        return self

    def freeze_statistics(self) -> None:
        """Let batch norms use the means and variances that they have from now on, as the graph will."""
        self.learns_statistics = False
        self.train(self.training)

    def freeze_ranges(self) -> None:
        """Leave the grids of activations as they are from now on, so that weights can settle on them."""
        self.learns_ranges = False
        self.train(self.training)

    def grids(self) -> dict[str, Grid]:
        """Return the grids of activations, by the tensors' names in the graph."""
        return {
            tensor: Grid(
                scale=max(float(rounder.scale), _SMALLEST),  # type: ignore[arg-type]
                zero_point=int(rounder.zero_point),  # type: ignore[arg-type]
            )
            for tensor, rounder in self._rounders.items()
        }

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give the network that the program was made of the trained weights and statistics."""
        own = model.state_dict()
        trained = self.program.state_dict()
        model.load_state_dict({name: trained.get(name, tensor) for name, tensor in own.items()})


class Freezing:
    """Freezes statistics and ranges in the course of a training; call it after each step of the optimizer."""

    def __init__(self, network: RoundedNetwork, steps: int, *, statistics: float, ranges: float) -> None:
        self._network = network
        self._statistics, self._ranges = math.ceil(steps * statistics), math.ceil(steps * ranges)
        self._done = 0

    def __call__(self, _network: nn.Module) -> None:
        """Count a step; statistics and ranges are learnt for the first of them only."""
        self._done += 1
        if self._done == self._statistics:
            self._network.freeze_statistics()
        if self._done == self._ranges:
            self._network.freeze_ranges()


def round_network(
    model: nn.Module,
    graph: onnx.ModelProto,
    rounding: Rounding,
    images: np.ndarray,
    *,
    activations: str,
    reporter: Reporter,
) -> RoundedNetwork:
    """Return the network with the graph's roundings; it trains `model`'s own parameters.

    Args:
        model: in evaluation mode. graph: the same in float32. rounding: of the graph in int8.
        images: a few training images, uint8 (N, H, W, C). activations: ``int8`` or ``uint8``.
        reporter: is told what is rounded.

    Raises:
        StepError: torch cannot export the network, or it has nothing of what the graph rounds.
    """
    name = type(model).__name__
    height, width, channels = images.shape[1:]
    program = export_program(model, (channels, height, width), name)
    wanted = [*rounding.leaders, *rounding.averages]
    found = find_values(program, graph, wanted, images[:_PROBED])
    places = _places(rounding, found, activations)
    layers = sum(rounds_weight(node, places.layers) for node in program.graph.nodes)
    if not places.grids or not layers:
        raise StepError(
            f"Cannot train {name} with rounded numbers: nothing of what ONNX Runtime rounds was found in the "
            "program that torch exports. Use method static."
        )
    quantizer = RuntimeQuantizer(places)
    prepared = _prepare(program, quantizer)
    _report(rounding, places, layers, reporter)
    rounders = {tensor: quantizer.rounders[found[tensor]] for tensor in rounding.leaders if tensor in found}
    return RoundedNetwork(prepared, rounders)


def _places(rounding: Rounding, found: Mapping[str, fx.Node], activations: str) -> Places:
    grids = {found[tensor]: rounding.grids[tensor] for tensor in rounding.leaders if tensor in found}
    averages = {
        found[tensor]: found[source]
        for tensor, source in rounding.averages.items()
        if tensor in found and found.get(source) in grids
    }
    return Places(grids=grids, averages=averages, layers=frozenset(rounding.layers), activations=activations)


def _prepare(program: fx.GraphModule, quantizer: RuntimeQuantizer) -> fx.GraphModule:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            prepared: fx.GraphModule = prepare_qat_pt2e(program, quantizer)
    except Exception as error:  # whatever torchao raises on a program that it does not expect
        raise StepError(
            f"Cannot train with rounded numbers: torchao fails to prepare the network "
            f"({type(error).__name__}: {error}). Use method static."
        ) from error
    show_norms(prepared)
    prepared.recompile()
    return prepared


def _report(rounding: Rounding, places: Places, layers: int, reporter: Reporter) -> None:
    reporter.log(
        f"Training in front of the roundings of {layers} layers' weights and of "
        f"{len(places.grids) + len(places.averages)} activations"
    )
    missing = len(rounding.leaders) + len(rounding.averages) - len(places.grids) - len(places.averages)
    missing_layers = len(set(rounding.layers)) - layers
    if missing or missing_layers > 0:
        reporter.log(
            f"{max(missing_layers, 0)} layers and {missing} activations that the int8 graph rounds were not "
            "found in the program that torch exports: they are not learnt, but calibrated",
            "warning",
        )

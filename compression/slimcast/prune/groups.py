"""Which channels of a network hang together, found by Torch-Pruning, and how they are cut out.

A group is a set of layers whose channels can only go together: a convolution, its batch norm, every layer
added to it, and the inputs of all that read them (Fang et al., DepGraph, CVPR 2023, arXiv:2301.12900).
Torch-Pruning traces the network and finds the groups; from then on they are plain indices here, so that one
tracing serves any number of trials.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from slimcast.errors import StepError
from slimcast.models.layers import check_patterns, matches, weighted_layers
from slimcast.prune.trace import Graph, trace

Removed = Mapping[str, Sequence[int]]
"""Which channels go, by the group's name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What one layer has of a group.

    Attributes:
        layer: name of the module, or of a parameter that stands by itself.
        kind: ``out`` (rows of a convolution or linear layer; depthwise convolutions too), ``in`` (its
            columns), ``norm`` (a batch norm), ``other``.
        indices: of the layer's channels, (n,) int64. roots: the group's channel that each goes with, (n,).
    """

    layer: str
    kind: Literal["out", "in", "norm", "other"]
    indices: Tensor
    roots: Tensor
    _cut: Callable[[Any, list[int]], Any]
    _dim: int

    def cut(self, layer: Any, indices: list[int]) -> Any:
        """Cut channels out of a module in place, or return what is left of a parameter."""
        self._cut.__self__.pruning_dim = self._dim  # type: ignore[attr-defined]
        return self._cut(layer, indices)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelGroup:
    """Channels that can only go together, over all layers that have a part in them.

    Attributes:
        name: of the first layer whose outputs they are. channels: how many there are.
        repeats: in so many equal blocks (grouped convolutions, group norm); each block must lose the same
        ones.
        pattern: equal for groups of the same structure.
    """

    name: str
    channels: int
    repeats: int
    pattern: str
    parts: tuple[Part, ...]

    @property
    def layers(self) -> list[str]:
        """Names of the convolutions and linear layers whose outputs these channels are."""
        return [part.layer for part in self.parts if part.kind == "out"]


def find_groups(model: nn.Module, example: Tensor, *, keep: Iterable[str] = ()) -> list[ChannelGroup]:
    """Return all groups whose channels may go, in the order of the network; never those of its output.

    Args:
        model: comes back as it was, in evaluation mode.
        example: one image, (1, C, H, W).
        keep: name patterns of layers to leave alone, with all that hangs together with them.

    Raises:
        StepError: Torch-Pruning cannot follow the network, or a pattern fits no layer.
    """
    names = list(weighted_layers(model))
    check_patterns(keep, names, "keep")
    graph = trace(model, example)
    order = {name: place for place, name in enumerate(names)}
    groups = []
    for raw in graph.groups():
        group = _group(graph, raw, order)
        if group is not None and not any(matches(layer, keep) for layer in group.layers):
            groups.append(group)
    return sorted(groups, key=lambda group: order[group.name])


def _group(graph: Graph, raw: Any, order: Mapping[str, int]) -> ChannelGroup | None:
    """Bring a group of Torch-Pruning into ours; None where it reaches the network's output."""
    parts, repeats, pattern = [], 1, []
    for item in raw.items:
        dep, module = item.dep, item.dep.target.module
        is_out = graph.is_out(dep.handler)
        if graph.is_output(dep.target) and is_out:
            return None
        pattern.append(f"{type(dep.source.module).__name__}>{type(module).__name__}:{is_out}")
        name = graph.name_of(module)
        if name is None:
            continue  # an operation without weights
        if any(root is None for root in item.root_idxs):
            raise StepError(f"Torch-Pruning cannot tell the channels of {name!r} apart. Add it to keep.")
        repeats = max(repeats, _blocks(module))
        parts.append(
            Part(
                layer=name,
                kind=_kind(module, is_out),
                indices=torch.tensor(item.idxs, dtype=torch.int64),
                roots=torch.tensor(item.root_idxs, dtype=torch.int64),
                _cut=dep.handler,
                _dim=dep.target.pruning_dim,
            )
        )
    first = min((part.layer for part in parts if part.kind == "out"), key=lambda name: order[name])
    return ChannelGroup(
        name=first,
        channels=len(raw.items[0].idxs),
        repeats=repeats,
        pattern=" ".join(pattern),
        parts=tuple(parts),
    )


def _kind(module: object, is_out: bool) -> Literal["out", "in", "norm", "other"]:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return "out" if is_out else "in"
    return "norm" if isinstance(module, _BatchNorm) else "other"


def _blocks(module: object) -> int:
    if isinstance(module, nn.GroupNorm):
        return module.num_groups
    if isinstance(module, nn.Conv2d) and module.groups != module.out_channels:
        return module.groups
    return 1


def remove(model: nn.Module, groups: Iterable[ChannelGroup], removed: Removed) -> nn.Module:
    """Return a copy without the given channels; `groups` are those of this very network."""
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    pruned = _sharing(model)
    modules: dict[str, Any] = dict(pruned.named_modules())
    for part, indices in _doomed(groups, removed):
        if part.layer in modules:
            part.cut(modules[part.layer], indices)
        else:
            owner, _, name = part.layer.rpartition(".")
            setattr(modules[owner], name, part.cut(getattr(modules[owner], name), indices))
    _own(pruned, model)
    for name, parameter in pruned.named_parameters():
        parameter.requires_grad_(trainable[name])
        parameter.grad = None
    return pruned


def _doomed(groups: Iterable[ChannelGroup], removed: Removed) -> list[tuple[Part, list[int]]]:
    """Gather what each layer loses, since several groups may meet in one (concatenation): one cut each."""
    found: dict[tuple[str, Any], tuple[Part, set[int]]] = {}
    for group in groups:
        gone = torch.zeros(group.channels, dtype=torch.bool)
        gone[list(removed.get(group.name, ()))] = True
        for part in group.parts:
            _, indices = found.setdefault((part.layer, part._cut), (part, set()))
            indices.update(part.indices[gone[part.roots]].tolist())
    return [(part, sorted(indices)) for part, indices in found.values() if indices]


def without_values(model: nn.Module) -> nn.Module:
    """Return a copy whose tensors have shapes but no values (device ``meta``), and take no memory."""
    bare: dict[int, Tensor] = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        shape = torch.empty_like(tensor, device="meta")
        trained = isinstance(tensor, nn.Parameter)
        bare[id(tensor)] = nn.Parameter(shape, requires_grad=tensor.requires_grad) if trained else shape
    return copy.deepcopy(model, bare)


def _sharing(model: nn.Module) -> nn.Module:
    """Return a copy that shares all tensors: large networks have most of theirs replaced by a cut anyway."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


def _own(pruned: nn.Module, model: nn.Module) -> None:
    """Give a network copies of the tensors that it still shares with another one."""
    shared = {id(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    copies: dict[int, Tensor] = {}
    for module in pruned.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and id(tensor) in shared:
                    tensors[name] = copies.setdefault(id(tensor), copy.deepcopy(tensor))  # type: ignore[assignment]


def without_inputs(model: nn.Module, groups: Iterable[ChannelGroup], removed: Removed) -> nn.Module:
    """Return a network in which nobody reads the given channels: what `remove` must be equal to.

    It shares its tensors with `model`, and is good for a forward pass.
    """
    blind = _sharing(model)
    modules = dict(blind.named_modules())
    for part, indices in _doomed(groups, removed):
        if part.kind == "in":
            modules[part.layer].register_forward_pre_hook(_Blind(indices))
    return blind


class _Blind:
    def __init__(self, indices: list[int]) -> None:
        self._indices = indices

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        values = inputs[0].clone()
        if isinstance(module, nn.Linear):
            values[..., self._indices] = 0
        else:
            values[:, self._indices] = 0
        return (values, *inputs[1:])

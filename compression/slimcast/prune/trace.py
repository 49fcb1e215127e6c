"""Torch-Pruning's dependency graph, with errors that a person can use."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from slimcast.errors import StepError


class Graph:
    """The dependency graph of a network, see `trace`."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        # The first node is where the trace backwards from the outputs began.
        self._output = next(iter(graph.module2node.values()))

    def groups(self) -> Iterator[Any]:
        """Go through all groups, each with all its channels.

        Raises:
            StepError: the library cannot say what hangs together with a layer.
        """
        seen: set[Any] = set()
        for module in list(self._graph.module2node):
            if module in seen or not isinstance(module, nn.Conv2d | nn.Linear):
                continue
            pruner = self._graph.get_pruner_of_module(module)
            channels = list(range(pruner.get_out_channels(module)))
            try:
                group = self._graph.get_pruning_group(module, pruner.prune_out_channels, channels)
            except Exception as error:  # whatever an untyped library runs into
                raise _cannot(error, self.name_of(module)) from error
            seen |= {item.dep.target.module for item in group.items if self.is_out(item.dep.handler)}
            yield group

    def is_out(self, function: Any) -> bool:
        """Return whether a pruning function takes channels off a layer's outputs."""
        return bool(self._graph.is_out_channel_pruning_fn(function))

    def is_output(self, node: Any) -> bool:
        """Return whether a node gives the network's output."""
        return node is self._output

    def name_of(self, module: Any) -> str | None:
        """Return the name of a module or parameter of the network; None for an operation without weights."""
        if isinstance(module, nn.Parameter):
            return str(self._graph._param_to_name[module])
        name = self._graph._module2name.get(module)
        return None if name is None else str(name)


def trace(model: nn.Module, example: Tensor) -> Graph:
    """Follow one image, (1, C, H, W), through the network.

    The network is left in evaluation mode. Frozen weights count as trained meanwhile: the library follows
    gradients, and would not see them.

    Raises:
        StepError: the library cannot follow the network.
    """
    import torch_pruning as tp

    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad(), warnings.catch_warnings(action="ignore"):  # about its own use of torch
            return Graph(tp.DependencyGraph().build_dependency(model, example))
    except Exception as error:  # whatever an untyped library runs into
        raise _cannot(error, _module_in(error, model)) from error
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _cannot(error: Exception, name: str | None) -> StepError:
    where = f" at {name!r}" if name else ""
    return StepError(
        f"Torch-Pruning cannot follow this network{where} ({type(error).__name__}: {error}). It knows no "
        "chunks or shuffles of channels. Choose another network, or compress this one without pruning "
        "channels."
    )


def _module_in(error: BaseException, model: nn.Module) -> str | None:
    """Look in the library's frames for the node it was at, and from there back to a layer with a name."""
    names = {module: name for name, module in model.named_modules() if name}
    found = None
    traceback = error.__traceback__
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            found = _nearest_name(value, names) or found
        traceback = traceback.tb_next
    return found


def _nearest_name(node: Any, names: dict[nn.Module, str]) -> str | None:
    if not (hasattr(node, "inputs") and hasattr(node, "grad_fn") and hasattr(node, "module")):
        return None
    waiting, seen = [node], set()
    while waiting:
        current = waiting.pop(0)
        if current.module in names:
            return names[current.module]
        seen.add(id(current))
        waiting += [item for item in current.inputs if id(item) not in seen]
    return None

"""What a network computes, as a list of calls: its torch.fx trace, with the shape of every value."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from slimcast.errors import ModelError

_BATCH = 2
"""Images of the trial: so a value whose first side is 2 is recognised as one for each image."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor that depends on the image.

    Attributes:
        name: of the output in the graph. shape: the batch's side is 2.
        readers: how many calls read it.
    """

    name: str
    shape: tuple[int, ...]
    readers: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """One operation.

    Attributes:
        name: dotted name of the module that does it, or in whose code the function is called.
        kind: the module's type, the function, or the name of the tensor's method.
        module: the module, None for a function or a method.
        args, kwargs: `Value` where the image matters; tensors and plain Python values else.
        shape: of the result, the batch's side is 2; of each result where there are several.
        passes: the result is the first argument, untouched, as of stochastic depth outside of training.
    """

    name: str
    kind: Any
    module: nn.Module | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    passes: bool

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument by its place (the first is 0) or its name."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The calls of a network in order.

    Attributes:
        shapes: of each node that depends on the image. constants: what the other nodes are.
        passing: nodes that return what they are given.
    """

    module: fx.GraphModule
    shapes: dict[fx.Node, Any]
    constants: dict[fx.Node, Any]
    passing: set[fx.Node]

    def calls(self, values: dict[fx.Node, Any]) -> Iterator[tuple[fx.Node, Call]]:
        """Yield what must be written; `values` holds what has been, and must grow with each call."""
        modules = dict(self.module.named_modules())
        for node in self.module.graph.nodes:
            if node in self.constants or node.op in {"placeholder", "output"}:
                continue
            module = modules[str(node.target)] if node.op == "call_module" else None

            def known(argument: fx.Node) -> Any:
                return self.constants[argument] if argument in self.constants else values[argument]

            yield (
                node,
                Call(
                    name=str(node.target) if module is not None else _place(node),
                    kind=type(module) if module is not None else node.target,
                    module=module,
                    args=fx.map_arg(node.args, known),
                    kwargs=fx.map_arg(node.kwargs, known),
                    shape=self.shapes[node],
                    passes=node in self.passing,
                ),
            )

    def readers(self, node: fx.Node) -> int:
        """Return how many calls read a value; who asks only for its size does not count."""
        return sum(user not in self.constants for user in node.users)

    def owners(self) -> list[str]:
        """Return the names of the modules that are called, or whose weight is used; one for each use."""
        called = [str(node.target) for node in self.module.graph.nodes if node.op == "call_module"]
        used = [str(node.target) for node in self.module.graph.nodes if node.op == "get_attr"]
        return called + [name.removesuffix(".weight") for name in used if name.endswith(".weight")]

    def bare_parameters(self, model: nn.Module) -> bool:
        """Return whether the network uses a matrix that belongs to no layer."""
        used = [str(node.target) for node in self.module.graph.nodes if node.op == "get_attr"]
        matrices = [
            name for name, parameter in model.named_parameters() if parameter.ndim > 1 and name in used
        ]
        owners = [model.get_submodule(name.rpartition(".")[0]) for name in matrices]
        return not all(isinstance(owner, nn.Conv2d | nn.Linear) for owner in owners)

    @property
    def image(self) -> fx.Node:
        """The node of the input."""
        return next(node for node in self.module.graph.nodes if node.op == "placeholder")

    @property
    def logits(self) -> fx.Node:
        """The node whose value the network returns."""
        return next(node for node in self.module.graph.nodes if node.op == "output").args[0]


def trace(model: nn.Module, image: tuple[int, int, int], is_leaf: Any) -> Trace:
    """Trace a copy of the network in evaluation mode with images of shape (C, H, W).

    Args:
        is_leaf: says of a module that it is one operation.

    Raises:
        ModelError: the network decides by the values or sizes of its tensors, or returns no single tensor.
    """
    network = copy.deepcopy(model).cpu().eval()
    try:
        graph = _Tracer(is_leaf).trace(network)
        module = fx.GraphModule(network, graph)
        recorder = _Recorder(module)
        with torch.no_grad():
            recorder.run(torch.zeros(_BATCH, *image))
    except Exception as error:  # whatever the network's own code raises on a tensor without values
        raise ModelError(f"The network cannot be traced for export: {error}") from error
    found = Trace(
        module=module, shapes=recorder.shapes, constants=recorder.constants, passing=recorder.passing
    )
    if not isinstance(found.logits, fx.Node) or found.logits in found.constants:
        raise ModelError("Cannot export a network that does not return one tensor, its logits.")
    return found


class _Tracer(fx.Tracer):
    def __init__(self, is_leaf: Any) -> None:
        super().__init__()
        self._is_leaf = is_leaf

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self._is_leaf(m) or super().is_leaf_module(m, module_qualified_name)


class _Recorder(fx.Interpreter):
    """Runs the trace once; keeps the shapes of what depends on the image, and the values of what does not."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, Any] = {}
        self.constants: dict[fx.Node, Any] = {}
        self.passing: set[fx.Node] = set()
        # Sizes are constants, as the image's is fixed; but a tensor made with one may be as long as a batch.
        self._sizes: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        first = self.fetch_args_kwargs_from_env(n)[0][:1]
        version = first[0]._version if first and isinstance(first[0], Tensor) else None
        result = super().run_node(n)
        if version is not None and result is first[0] and result._version == version:  # nor changed in place
            self.passing.add(n)
        if n.op == "output":
            return result
        reads_image = n.op == "placeholder" or any(
            item in self.shapes or item in self._sizes for item in n.all_input_nodes
        )
        if reads_image and _has_tensor(result):
            self.shapes[n] = _shape(result)
            return result
        if reads_image:
            self._sizes.add(n)
        self.constants[n] = result
        return result


def _place(node: fx.Node) -> str:
    """Return the name of the module whose code calls the function; the trace's own name outside of all."""
    stack = node.meta.get("nn_module_stack") or {}
    return next(reversed(stack), "") or node.name


def _has_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(item, Tensor) for item in value)
    )


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else tuple(tuple(item.shape) for item in value)

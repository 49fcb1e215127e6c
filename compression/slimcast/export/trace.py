"""What a network computes, as a list of calls: its torch.fx trace, with the shape of every value."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

BATCH = 5
"""Images of the trial: a first side that is a multiple of it is taken for the images, or parts of each."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor that depends on the image.

    Attributes:
        name: of the output in the graph. shape: of the trial, the first side is `BATCH`.
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
        shape: of the result in the trial; of each result where there are several.
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
        own = [*model.named_parameters(), *model.named_buffers()]
        matrices = [name for name, tensor in own if tensor.ndim > 1 and name in used]
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


def _place(node: fx.Node) -> str:
    """Return the name of the module whose code calls the function; the trace's own name outside of all."""
    stack = node.meta.get("nn_module_stack") or {}
    return next(reversed(stack), "") or node.name

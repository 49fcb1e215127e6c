"""Trace a network by running it once on a few images.

So its code gets true sizes where it asks for them (torch.fx by itself knows none, and fails where code
decides by one), shapes are known, and what does not depend on the image is a constant.
"""

import copy
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn

from slimcast.errors import ModelError
from slimcast.export.trace import BATCH, Trace


def trace(model: nn.Module, image: tuple[int, int, int], is_leaf: Callable[[nn.Module], bool]) -> Trace:
    """Trace a copy of the network in evaluation mode with images of shape (C, H, W).

    Args:
        is_leaf: says of a module that it is one operation.

    Raises:
        ModelError: the network decides by the values of its tensors, or returns no single tensor.
    """
    network = copy.deepcopy(model).cpu().eval()
    tracer = _Tracer(is_leaf, torch.zeros(BATCH, *image))
    try:
        with torch.no_grad():
            graph = tracer.trace(network)
    except Exception as error:  # whatever the network's own code raises on a tensor without values
        raise ModelError(f"The network cannot be traced for export: {error}") from error
    found = Trace(
        module=fx.GraphModule(tracer.root, graph),
        shapes=tracer.shapes,
        constants=tracer.constants,
        passing=tracer.passing,
    )
    if not isinstance(found.logits, fx.Node) or found.logits in found.constants:
        raise ModelError("Cannot export a network that does not return one tensor, its logits.")
    return found


class _Sized(fx.Proxy):
    """A value in the network's code that knows its sizes."""

    tracer: "_Tracer"

    @property
    def shape(self) -> torch.Size:
        return self._value.shape

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def dtype(self) -> torch.dtype:
        return self._value.dtype

    @property
    def device(self) -> torch.device:
        return self._value.device

    def dim(self) -> int:
        return self._value.ndim

    def size(self, dim: int | None = None) -> Any:
        return self._value.shape if dim is None else self._value.shape[dim]

    def numel(self) -> int:
        return self._value.numel()

    @property
    def _value(self) -> Any:
        return self.tracer.values[self.node]


class _Tracer(fx.Tracer):
    """Traces, and computes each value at once."""

    def __init__(self, is_leaf: Callable[[nn.Module], bool], images: Tensor) -> None:
        super().__init__()
        self._is_leaf, self._images = is_leaf, images
        self._computing = False
        self.values: dict[fx.Node, Any] = {}
        self.shapes: dict[fx.Node, Any] = {}
        self.constants: dict[fx.Node, Any] = {}
        self.passing: set[fx.Node] = set()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self._is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    # While a module computes, what torch.fx has put in the place of its calls and attributes steps aside.

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self._computing else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._computing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Sized(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **named: Any) -> Any:
        if kind == "placeholder" and self.values:
            return args[0]  # arguments behind the image keep their defaults
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **named)
        if kind != "output":
            self._compute(proxy.node)
        return proxy

    def _compute(self, node: fx.Node) -> None:
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._value_of)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        version = None if first is None else first._version
        self._computing = True
        try:
            result = self._images if node.op == "placeholder" else self._run(node, args, kwargs)
        finally:
            self._computing = False
        if first is not None and result is first and first._version == version:  # nor changed in place
            self.passing.add(node)
        self.values[node] = result
        reads_image = node.op == "placeholder" or any(item in self.shapes for item in node.all_input_nodes)
        if reads_image and _has_tensor(result):
            self.shapes[node] = _shape(result)
        else:
            self.constants[node] = result

    def _value_of(self, node: fx.Node) -> Any:
        if node not in self.values:  # a tensor of the network's own, which gets its node without a proxy
            self._compute(node)
        return self.values[node]

    def _run(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if node.op == "get_attr":
            return attrgetter(str(node.target))(self.root)
        if node.op == "call_module":
            return self.root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]


def _has_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(item, Tensor) for item in value)
    )


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else tuple(tuple(item.shape) for item in value)

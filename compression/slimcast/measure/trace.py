"""Find the layers of a torch network, with all that decides how long each takes."""

from torch import Tensor, fx, nn

from slimcast.measure.layers import LayerShape
from slimcast.measure.observe import Hook, observe

_FUSED = ("ReLU", "ReLU6")
"""What a runtime computes within the layer before it; others cost apart from it."""
_FUNCTIONS = {"relu": "ReLU", "relu_": "ReLU", "relu6": "ReLU6"}


def layers_of(model: nn.Module, example: Tensor) -> dict[str, LayerShape]:
    """Return the convolutions and linear layers that one image (1, C, H, W) runs through, by name, in order.

    A layer that is used twice is counted once. Linear layers are counted for one row.
    """
    activations = _activations(model)
    found: dict[str, LayerShape] = {}

    def note(name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
            found.setdefault(name, _shape(module, inputs[0], activations.get(name, "")))

        return hook

    hooks: dict[nn.Module, Hook] = {
        module: note(name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    observe(model, example, hooks)
    return found


def _shape(module: nn.Module, image: Tensor, activation: str) -> LayerShape:
    if isinstance(module, nn.Linear):
        return LayerShape(
            kind="linear", inputs=module.in_features, outputs=module.out_features, activation=activation
        )
    assert isinstance(module, nn.Conv2d)
    return LayerShape(
        kind="conv",
        inputs=module.in_channels,
        outputs=module.out_channels,
        size=(int(image.shape[-2]), int(image.shape[-1])),
        kernel=_two(module.kernel_size),
        stride=_two(module.stride),
        padding=_padding(module),
        dilation=_two(module.dilation),
        groups=module.groups,
        activation=activation,
    )


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    if module.padding == "same":
        height, width = (d * (k - 1) // 2 for d, k in zip(module.dilation, module.kernel_size, strict=True))
        return height, width
    return (0, 0) if isinstance(module.padding, str) else _two(module.padding)


def _activations(model: nn.Module) -> dict[str, str]:
    """Return which activation follows each layer, batch norms skipped; nothing where it cannot be traced."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception:  # a network decides by its values; what it raises then is its own affair
        return {}
    modules = dict(model.named_modules())
    found = {}
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], nn.Conv2d | nn.Linear):
            found[str(node.target)] = _following(node, modules)
    return found


def _following(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    while len(node.users) == 1:
        node = next(iter(node.users))
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.BatchNorm2d | nn.Dropout | nn.Identity):
            continue
        name = type(module).__name__ if module is not None else _FUNCTIONS.get(_called(node), "")
        return name if name in _FUSED else ""
    return ""


def _called(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))

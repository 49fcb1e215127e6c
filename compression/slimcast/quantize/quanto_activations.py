"""int8 or float8 activations through optimum-quanto: which values are rounded, and how far they reach.

A layer rounds what it reads. It rounds what it gives as well where something else than a layer reads it (a
sum, a mean, another activation function): only so can a runtime compute the layer in integers throughout.
Behind a layer with a batch norm it is the norm's output, since the two become one. What is rounded already
is not rounded to other numbers by a layer that reads it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from slimcast.errors import StepError
from slimcast.models.quanto import FORMATS, LayerFormat, put, quanto_layers
from slimcast.models.quanto_library import Calibration
from slimcast.reporting import Reporter

# Rounding before them gives the same as rounding behind them, so a layer may read through them.
_PASSING = {
    "relu", "relu_", "relu6", "hardtanh", "hardtanh_", "clamp", "clamp_", "max_pool2d", "flatten", "view",
    "reshape", "dropout", "contiguous",
}  # fmt: skip


def calibrate(
    model: nn.Module, batches: Iterable[Tensor], activations: str, *, reporter: Reporter
) -> list[str]:
    """Round activations from now on, within the range that they have on these images; in place.

    Args:
        model: with low-bit layers, as `with_low_bits` makes it.
        batches: normalised images, (B, C, H, W); they must not be empty.
        activations: ``int8`` or ``float8``.
        reporter: asked for cancellation.

    Returns:
        The names of layers and norms whose output is rounded.

    Raises:
        StepError: a layer is never reached, or what it reads is no number.
        Cancelled: somebody cancelled the run.
    """
    model.eval()
    batches = list(batches)
    with torch.no_grad():
        readers = _Readers(model)
        readers.look(batches[0])
        _check_reached(model, readers.reached)
        given = _round(model, readers, FORMATS[activations])
        with Calibration(streamline=False):
            for index, images in enumerate(batches):
                reporter.check_cancelled()
                reporter.progress(index / len(batches), "Calibrating")
                model(images)
        _check_ranges(model)
        for name, sources in readers.feeding.items():
            [source, *others] = sources
            if source in given and not others:
                layer, feeding = model.get_submodule(name), model.get_submodule(source)
                layer.input_scale.copy_(feeding.output_scale)  # type: ignore[operator, arg-type]
    return given


def _round(model: nn.Module, readers: "_Readers", kind: str) -> list[str]:
    for name, layer in quanto_layers(model).items():
        layer.set_activations(kind, input=True, output=name in readers.needed)
    norms = [name for name in readers.fused if name in readers.needed]
    for name in norms:
        put(model, name, LayerFormat(weights="", activations=kind, output=True)).eval()
    return [name for name, layer in quanto_layers(model).items() if layer.format.output]


class _Readers(TorchFunctionMode):
    """Follows one batch through the network, and notes who reads what the low-bit layers give.

    Attributes:
        reached: layers that ran.
        needed: those (or their norms) whose output something else than a layer reads.
        fused: norms that read nothing but the output of one layer, by name, and that layer.
        feeding: layers whose input comes from other layers or norms, by name, and from which.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.reached: set[str] = set()
        self.needed: set[str] = set()
        self.fused: dict[str, str] = {}
        self.feeding: dict[str, set[str]] = {}
        self._model = model
        self._inside = 0
        self._source: dict[int, str] = {}
        self._direct: dict[int, str] = {}
        self._alive: list[Tensor] = []  # so that no two tensors have the same id

    def look(self, images: Tensor) -> None:
        """Send images through."""
        layers = quanto_layers(self._model)
        handles: list[RemovableHandle] = []
        for name, module in self._model.named_modules():
            if name in layers:
                handles += self._watch(name, module, self._layer_ran)
            elif isinstance(module, nn.BatchNorm2d):
                handles += self._watch(name, module, self._norm_ran)
        try:
            with self:
                self._model(images)
        finally:
            for handle in handles:
                handle.remove()

    def _watch(
        self, name: str, module: nn.Module, ran: Callable[[str, Tensor, Tensor], None]
    ) -> list[RemovableHandle]:
        def before(_module: nn.Module, _inputs: tuple[Any, ...]) -> None:
            self._inside += 1

        def after(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            self._inside -= 1
            self._alive.append(output)
            ran(name, inputs[0], output)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def _layer_ran(self, name: str, given: Tensor, output: Tensor) -> None:
        self.reached.add(name)
        self.feeding.setdefault(name, set()).add(self._source.get(id(given), ""))
        self._source[id(output)] = self._direct[id(output)] = name

    def _norm_ran(self, name: str, given: Tensor, output: Tensor) -> None:
        layer = self._direct.get(id(given))
        if layer is None:
            self._read(given)
            return
        self.fused[name] = layer
        self._source[id(output)] = name

    def _read(self, value: Tensor) -> None:
        if (source := self._source.get(id(value))) is not None:
            self.needed.add(source)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if self._inside or not _tensors(output):  # who asks for a size reads no value
            return output
        given = [item for item in _tensors((args, kwargs or {})) if id(item) in self._source]
        if getattr(func, "__name__", "") in _PASSING and isinstance(output, Tensor) and given:
            self._alive.append(output)
            self._source[id(output)] = self._source[id(given[0])]
            self._direct.pop(id(output), None)  # the same tensor where it was changed in place
            return output
        for value in given:
            self._read(value)
        return output


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _check_reached(model: nn.Module, reached: set[str]) -> None:
    missing = [name for name in quanto_layers(model) if name not in reached]
    if missing:
        raise StepError(
            f"{', '.join(missing)}: never reached by the calibration images, so nobody knows the range of "
            "what goes in there. Name it in keep, so that it stays in float."
        )


def _check_ranges(model: nn.Module) -> None:
    for name, layer in quanto_layers(model).items():
        for scale in (layer.input_scale, layer.output_scale):
            if not bool(torch.isfinite(scale)):
                raise StepError(
                    f"{name}: what goes in or comes out is no number (NaN or infinite) on the calibration "
                    "images. Train again with a lower learning rate, or name the layer in keep."
                )
            if float(scale) == 0:  # always zero: any range holds that
                scale.fill_(1.0)

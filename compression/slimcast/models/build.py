"""Build a network from its catalog entry, and load weights into it."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from slimcast.catalog import MODELS
from slimcast.catalog.open_networks import is_own
from slimcast.errors import ModelError
from slimcast.models.own import own_builder
from slimcast.models.resnet_cifar import PaddingShortcut


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """All that a network is built from. `image_size` is the side of the square input in pixels."""

    model: str
    classes: int
    channels: int
    image_size: int

    def to_dict(self) -> dict[str, str | int]:
        """Return it as plain data."""
        return asdict(self)


def build(spec: NetworkSpec, *, seed: int = 0, empty: bool = False) -> nn.Module:
    """Return the network with random weights, the same ones for the same seed.

    Args:
        spec: what it is built from.
        seed: of the weights.
        empty: leave those weights unset, for who loads others into all of them: large networks take seconds
            to fill.

    Raises:
        UnknownKind: the catalog has no such network.
        ModelError: it cannot be built for such images.
    """
    entry = MODELS[spec.model]
    if spec.image_size < entry.smallest:
        raise ModelError(
            f"{entry.title} needs at least {entry.smallest} pixels a side, not {spec.image_size}. "
            f"Set data.image_size to {entry.smallest} or more."
        )
    builder = own_builder(spec.model) if is_own(spec.model) else entry.load()
    with torch.random.fork_rng(devices=[]), _Unset() if empty else nullcontext():
        torch.manual_seed(seed)
        model: nn.Module = builder(classes=spec.classes, channels=spec.channels, image_size=spec.image_size)
    return model.eval()


class _Unset(TorchFunctionMode):
    """Passes over what fills a tensor with random numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _FILLING else func(*args, **kwargs or {})


_FILLING = {Tensor.normal_, Tensor.uniform_}


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file whose names and shapes are exactly the network's.

    Raises:
        ModelError: the file is missing or damaged, or it is of another network.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"Cannot read the weights {path}: {error}. Expected a .safetensors file.") from error
    tensors = fixed_weights(model) | tensors
    check_fits(model, tensors, str(path))
    model.load_state_dict(tensors)


def fixed_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights that are part of the architecture, not of the training; files may lack them."""
    return {
        f"{name}.weight": module.weight.detach()
        for name, module in model.named_modules()
        if isinstance(module, PaddingShortcut)
    }


def check_fits(model: nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Compare names and shapes.

    Raises:
        ModelError: with the first difference.
    """
    own = model.state_dict()
    if missing := sorted(own.keys() - tensors.keys()):
        raise ModelError(f"{where} lacks {len(missing)} tensors that the network has, first {missing[0]!r}.")
    if extra := sorted(tensors.keys() - own.keys()):
        raise ModelError(f"{where} has {len(extra)} tensors that the network lacks, first {extra[0]!r}.")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise ModelError(
                f"{where}: {name!r} has shape {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}."
            )

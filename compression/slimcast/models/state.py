"""Save a network whose channels were cut, and rebuild it: safetensors with the structure in its metadata.

Nothing is pickled: the catalog builds the network, then each layer is refitted to the stored shapes.
"""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from slimcast.errors import ModelError
from slimcast.models.build import NetworkSpec, build, check_fits
from slimcast.models.factors import Description, describe, factorized, restored
from slimcast.models.lowbit import describe_lowbit, lowbit_layers, put_described, take_out_lowbit
from slimcast.models.quanto import describe as describe_bits
from slimcast.models.quanto import float_state, quanto_layers, restore

_KEY = "slimcast"


def save_state(model: nn.Module, spec: NetworkSpec) -> bytes:
    """Return the file: all tensors, and what is needed to rebuild the network."""
    groups = {
        name: m.groups for name, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    structure: dict[str, Any] = {"format": 1, "network": spec.to_dict(), "groups": groups}
    if factors := {name: describe(module) for name, module in factorized(model).items()}:
        structure["factors"] = factors
    if few := {name: describe_lowbit(layer) for name, layer in lowbit_layers(model).items()}:
        structure["lowbit"] = few
    if layers := quanto_layers(model):
        structure["quanto"] = {name: describe_bits(layer) for name, layer in layers.items()}
    return save(tensors, metadata={_KEY: json.dumps(structure, sort_keys=True)})


def load_state(path: Path, *, in_float: bool = False) -> tuple[nn.Module, NetworkSpec]:
    """Rebuild the network that `save_state` has saved, in evaluation mode.

    Args:
        path: of the file.
        in_float: give a network of few bits back in float, with the weights that its bits stand for, so that
            it can be trained, pruned and quantized like any other; without what rounds its activations.

    Raises:
        ModelError: the file is damaged, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        structure = json.loads(metadata[_KEY])
        spec = NetworkSpec(**structure["network"])
        groups: dict[str, int] = structure["groups"]
        factors: dict[str, Description] = dict(structure.get("factors", {}))
        few: dict[str, dict[str, Any]] = dict(structure.get("lowbit", {}))
        bits: dict[str, dict[str, Any]] = dict(structure.get("quanto", {}))
        shapes = {f"{name}.weight": torch.empty(one["shape"]) for name, one in bits.items()}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no checkpoint of Slimcast, or it is damaged: {error}") from error
    model = build(spec, empty=True)  # `check_fits` sees that the file fills all of it
    _put_factors(model, factors)
    put_described(model, few)
    _refit(model, shapes | tensors, groups)
    whole = copy.deepcopy(model) if bits and in_float else None
    restore(model, bits)
    check_fits(model, tensors, str(path))
    model.load_state_dict(tensors)
    if in_float:
        take_out_lowbit(model)
    if whole is not None:
        whole.load_state_dict(float_state(model))
        model = whole
    return model.eval(), spec


def _put_factors(model: nn.Module, factors: dict[str, Description]) -> None:
    for name, description in factors.items():
        try:
            model.set_submodule(name, restored(description), strict=True)
        except (AttributeError, ValueError) as error:
            raise ModelError(f"The checkpoint has factors of {name!r}, which the network lacks.") from error


def _refit(model: nn.Module, tensors: dict[str, torch.Tensor], groups: dict[str, int]) -> None:
    for name, module in model.named_modules():
        weight = tensors.get(f"{name}.weight")
        if weight is not None:
            _set_sizes(module, weight, groups.get(name, 1))
        _resize(module, f"{name}." if name else "", tensors)


def _set_sizes(module: nn.Module, weight: torch.Tensor, groups: int) -> None:
    if isinstance(module, nn.Conv2d):
        module.groups = groups
        module.out_channels, module.in_channels = weight.shape[0], weight.shape[1] * groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, _BatchNorm):
        module.num_features = weight.shape[0]
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = weight.shape[0]


def _resize(module: nn.Module, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    for key, parameter in list(module.named_parameters(recurse=False)):
        stored = tensors.get(prefix + key)
        if stored is not None and stored.shape != parameter.shape:
            fitting = torch.empty_like(stored, dtype=parameter.dtype)
            setattr(module, key, nn.Parameter(fitting, requires_grad=parameter.requires_grad))
    for key, buffer in list(module.named_buffers(recurse=False)):
        stored = tensors.get(prefix + key)
        if stored is not None and stored.shape != buffer.shape:
            setattr(module, key, torch.empty_like(stored, dtype=buffer.dtype))

"""Weights that were trained elsewhere: safetensors files, and ImageNet's through torchvision or timm.

PyTorch's own files are pickles and are refused; torchvision's downloads are read as tensors only.
"""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from slimcast.catalog import MODELS
from slimcast.catalog.open_networks import TIMM
from slimcast.errors import ModelError
from slimcast.models.adapt import first_convolution
from slimcast.models.build import NetworkSpec, fixed_weights
from slimcast.models.head import head_of
from slimcast.recipe.subject import PICKLES

Log = Callable[[str], None]

# DenseNet's downloads have the names of an older torchvision: `denselayer1.norm.1.weight`.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def find_file(text: str, root: Path) -> Path:
    """Return the safetensors file that a recipe names: absolute, in the working directory, or below `root`.

    Raises:
        ModelError: there is none, or it is no safetensors file.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{path} is a file of PyTorch's own kind, which can hold code. Slimcast reads safetensors only; "
            "convert it where you trust it: safetensors.torch.save_file(torch.load(FILE, weights_only=True))."
        )
    for found in (path, root / path):
        if found.is_file():
            return found
    raise ModelError(f"There are no weights {path}, neither in {Path.cwd()} nor below {root}.")


def load_pretrained(model: nn.Module, path: Path, log: Log) -> None:
    """Load a safetensors file, as far as classes and channels allow; in place.

    A head for other classes stays as it was initialized; a first convolution for coloured images is summed up
    for grey ones, which gives the same answers as a grey image in all three channels.

    Raises:
        ModelError: the file cannot be read, or it is of another network.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"Cannot read the weights {path}: {error}. Expected a .safetensors file.") from error
    take_over(model, tensors, str(path), log)


def load_imagenet(model: nn.Module, spec: NetworkSpec, root: Path, log: Log) -> nn.Module:
    """Return the network with weights that were trained on ImageNet.

    They are looked for as ``NAME.safetensors`` and under torchvision's own file name below `root` (timm's
    below ``timm``), and downloaded to there when the network allows.

    Raises:
        ModelError: there are none for this network, or they cannot be had.
    """
    name = spec.model.removeprefix(TIMM)
    file = root / ("timm" if spec.model.startswith(TIMM) else "") / f"{name}.safetensors"
    if file.is_file():
        load_pretrained(model, file, log)
        return model
    if spec.model.startswith(TIMM):
        return _from_timm(name, spec, file, log)
    take_over(model, _from_torchvision(spec.model, root, file), "ImageNet's weights", log)
    return model


def take_over(model: nn.Module, tensors: dict[str, Tensor], where: str, log: Log) -> None:
    """Copy tensors into the network; what its head cannot take stays as it was initialized.

    Raises:
        ModelError: a tensor outside of the head is missing, too many, or of another shape.
    """
    own, head = model.state_dict(), head_of(model)
    # Files from before torch 1.0 lack the counters of batch norms, published ones what is never trained.
    counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    tensors = counters | fixed_weights(model) | tensors
    first = f"{first_convolution(model)[0]}.weight" if _has_convolution(model) else ""
    if first in tensors:
        tensors[first] = _for_channels(tensors[first], own[first].shape, log)
    fitting = {name for name, value in own.items() if name in tensors and tensors[name].shape == value.shape}
    rest = [name for name in (*own, *tensors) if name not in fitting and name.split(".")[0] != head]
    if rest:
        raise ModelError(f"{where}: {_difference(rest[0], own, tensors)}")
    if not fitting:
        raise ModelError(f"{where} has no tensor that this network could take.")
    fresh = sorted(own.keys() - fitting)
    if fresh:
        log(f"{where}: loaded; the head is for other classes, so it starts anew ({', '.join(fresh)})")
    else:
        log(f"{where}: loaded")
    model.load_state_dict(own | {name: tensors[name] for name in fitting})


def _has_convolution(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def _for_channels(weight: Tensor, wanted: torch.Size, log: Log) -> Tensor:
    given, channels = weight.shape[1] if weight.ndim == 4 else 0, wanted[1]
    if (given, channels) == (3, 1):
        log("The first convolution was trained on coloured images: its weights are summed up for grey ones")
        return weight.sum(1, keepdim=True)
    if (given, channels) == (1, 3):
        log("The first convolution was trained on grey images: its weights are spread over three channels")
        return weight.repeat(1, 3, 1, 1) / 3
    return weight


def _difference(name: str, own: dict[str, Tensor], tensors: dict[str, Tensor]) -> str:
    if name not in tensors:
        return f"lacks {name!r}, which the network has."
    if name not in own:
        return f"has {name!r}, which the network lacks."
    return f"{name!r} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}."


def _from_torchvision(name: str, root: Path, file: Path) -> dict[str, Tensor]:
    entry = MODELS[name]
    if not entry.imagenet:
        raise ModelError(f"There are no ImageNet weights for {entry.title}. Set model.weights to none.")
    from torchvision.models import get_weight

    weights = get_weight(f"{entry.imagenet}.IMAGENET1K_V1")
    try:
        state = torch.hub.load_state_dict_from_url(
            weights.url, model_dir=str(root), progress=False, check_hash=True, weights_only=True
        )
    except (
        Exception
    ) as error:  # no network, a full disk, a damaged file: urllib, OSError, RuntimeError, pickle
        raise ModelError(_cannot_get(entry.title, file, error, weights.url)) from error
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def _from_timm(name: str, spec: NetworkSpec, file: Path, log: Log) -> nn.Module:
    from slimcast.models.timm import build

    try:
        model = build(
            name,
            classes=spec.classes,
            channels=spec.channels,
            image_size=spec.image_size,
            cache_folder=file.parent,
        )
    except ModelError as error:
        raise ModelError(_cannot_get(f"timm's {name}", file, error, "huggingface.co/timm")) from error
    log(f"timm's weights of {name}: loaded; timm has fitted them to {spec.classes} classes")
    return model.eval()


def _cannot_get(title: str, file: Path, error: Exception, source: str) -> str:
    return (
        f"Cannot get the ImageNet weights of {title}: {error}. Without a connection, put them from {source} "
        f"into {file.parent}, under their own name or as {file.name}."
    )

"""The catalog's networks as test parameters; those that take long are marked slow."""

from collections.abc import Collection

import numpy as np
import pytest
import torch
from torch import nn

from slimcast.catalog import MODELS
from slimcast.models.build import NetworkSpec, build

LARGE = {"alexnet", "alexnet_imagenet", "vgg16_imagenet", "vgg16_bn_imagenet"}
"""Hundreds of megabytes of weights, nearly all of them in the hidden layers of the head; see `light`."""
_HIDDEN = 256
DEEP = {
    "densenet121", "densenet40", "efficientnet_b0", "mobilenet_v3_large", "resnet34", "resnet50", "resnet56",
}  # fmt: skip
"""Hundreds of operations: what works on each of them takes long."""
SAME_OPERATIONS = {
    "resnet32": "resnet20", "resnet56": "resnet20", "resnet34": "resnet18", "densenet121": "densenet40",
    "mobilenet_v3_large": "mobilenet_v3_small", "vgg16_imagenet": "vgg16", "vgg16_bn_imagenet": "vgg16_bn",
}  # fmt: skip
"""Networks that have only more of what another has: tests of operations leave them out, others do not."""


def networks(*slow: str, without: Collection[str] = ()) -> list:
    """Return the names of the networks as parameters of a test; those named in `slow` are marked so."""
    names = [name for name in MODELS.names() if name not in without]
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def spec_of(name: str, *, channels: int = 1, classes: int = 7) -> NetworkSpec:
    return NetworkSpec(model=name, classes=classes, channels=channels, image_size=MODELS[name].smallest)


def light(spec: NetworkSpec, *, seed: int = 0) -> nn.Module:
    """Return a network as the catalog builds it, but a LARGE one with narrow hidden layers in its head.

    It has the same operations in the same order at a tenth of the memory, and is saved and loaded like any
    network that was pruned. The whole of it is built where its size is tested.
    """
    if spec.model not in LARGE:
        return build(spec, seed=seed)
    model = build(spec, empty=True)
    *hidden, last = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    width = hidden[0][1].in_features
    for name, _ in hidden:
        model.set_submodule(name, nn.Linear(width, _HIDDEN))
        width = _HIDDEN
    model.set_submodule(last[0], nn.Linear(width, last[1].out_features))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in (m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model.eval()


def lively(spec: NetworkSpec, *, seed: int = 3) -> nn.Module:
    """Return a light network with batch norms that do something."""
    model = light(spec, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.uniform_(-0.1, 0.1, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            norm.bias.uniform_(-0.1, 0.5, generator=generator)
    return model


def photographs(count: int, spec: NetworkSpec) -> np.ndarray:
    """Return images with large and small structures, uint8 (N, S, S, C)."""
    random = np.random.default_rng(5)
    side = spec.image_size
    coarse = random.integers(0, 256, (count, 4, 4, spec.channels)).repeat(side // 4, 1).repeat(side // 4, 2)
    fine = random.integers(0, 64, (count, side, side, spec.channels))
    return np.clip(coarse * 0.75 + fine, 0, 255).astype(np.uint8)


def answers_of(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the logits of images that are normalised by mean 0.5 and deviation 0.25."""
    with torch.no_grad():
        return model((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25).numpy()

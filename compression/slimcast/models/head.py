"""The last layer of a network, which tells the classes apart; what stands before it is the backbone."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from slimcast.errors import ModelError


def final_classifier(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return the last linear layer or convolution, and its name.

    Raises:
        ModelError: the network has neither.
    """
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not layers:
        raise ModelError("This network has neither a linear layer nor a convolution.")
    return layers[-1]


def head_of(model: nn.Module) -> str:
    """Return the name of the part of the network that ends in its classifier, such as ``classifier``."""
    return final_classifier(model)[0].partition(".")[0]


def with_classes(model: nn.Module, classes: int) -> bool:
    """Give the network a fresh last layer for so many classes, in place; False: it has as many already."""
    name, old = final_classifier(model)
    fresh: nn.Module
    if isinstance(old, nn.Linear):
        if old.out_features == classes:
            return False
        fresh = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        if old.out_channels == classes:
            return False
        fresh = nn.Conv2d(old.in_channels, classes, old.kernel_size, bias=old.bias is not None)  # type: ignore[arg-type]
    model.set_submodule(name, fresh)
    return True


@contextmanager
def frozen_backbone(model: nn.Module) -> Iterator[None]:
    """Let nothing but the last layer be trained meanwhile; batch norms keep their statistics."""
    last = {id(parameter) for parameter in final_classifier(model)[1].parameters()}
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    for parameter, _ in before:
        parameter.requires_grad_(id(parameter) in last)
    try:
        yield
    finally:
        for parameter, trained in before:
            parameter.requires_grad_(trained)

"""Gradients of the training loss at the network as it stands, for criteria that need them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.errors import StepError
from slimcast.prune.evidence import Evidence, Samples

_BATCH = 64


def mean_gradients(evidence: Evidence) -> dict[str, Tensor]:
    """Return the gradient of the mean loss over all samples, by the parameter's name."""
    samples = required(evidence)
    total: dict[str, Tensor] = {}
    for start in range(0, len(samples.labels), _BATCH):
        batch = slice(start, start + _BATCH)
        gradients = _gradients(evidence.model, samples.images[batch], samples.labels[batch])
        for name, gradient in gradients.items():
            total[name] = total[name] + gradient if name in total else gradient
    return {name: value / len(samples.labels) for name, value in total.items()}


def mean_squared_gradients(evidence: Evidence) -> dict[str, Tensor]:
    """Return the mean of the squared gradients of single samples, by the parameter's name."""
    samples = required(evidence)
    total: dict[str, Tensor] = {}
    for index in range(len(samples.labels)):
        one = slice(index, index + 1)
        for name, gradient in _gradients(evidence.model, samples.images[one], samples.labels[one]).items():
            total[name] = total[name].addcmul_(gradient, gradient) if name in total else gradient**2
    return {name: value / len(samples.labels) for name, value in total.items()}


def required(evidence: Evidence) -> Samples:
    """Return the samples.

    Raises:
        StepError: nobody has given any.
    """
    if evidence.samples is None or not len(evidence.samples.labels):
        raise StepError("This criterion judges by training images, and there are none.")
    return evidence.samples


def _gradients(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the gradients of the summed loss, of frozen parameters too, by name."""
    named = dict(model.named_parameters())
    frozen = [parameter for parameter in named.values() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            loss = F.cross_entropy(model(images), labels, reduction="sum")
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
    return {name: g.detach() for name, g in zip(named, found, strict=True) if g is not None}

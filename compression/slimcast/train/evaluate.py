"""A network's answers, batch by batch."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from slimcast.data.images import ImageData
from slimcast.reporting import Reporter
from slimcast.timing import batch_time
from slimcast.train.batches import in_memory, read_ahead, to_device
from slimcast.train.normalise import Normaliser

_BATCH = 500


def default_device() -> torch.device:
    """Return the GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def accuracy(
    model: nn.Module, data: ImageData, *, device: torch.device | None = None, reporter: Reporter
) -> float:
    """Return the share of held-out images whose top answer is right."""
    return accuracy_on(model, data.test_images, data.test_labels, data, device=device, reporter=reporter)


def accuracy_on(
    model: nn.Module,
    images: Any,
    labels: np.ndarray,
    data: ImageData,
    *,
    reporter: Reporter,
    device: torch.device | None = None,
) -> float:
    """Return the share of images, uint8 (N, H, W, C), whose top answer is the label, (N,)."""
    logits = logits_of(model, images, data, device=device, reporter=reporter)
    return float((logits.argmax(1) == labels).mean())


@torch.no_grad()
def logits_of(
    model: nn.Module,
    images: Any,
    data: ImageData,
    *,
    reporter: Reporter,
    device: torch.device | None = None,
) -> np.ndarray:
    """Return the logits of images, uint8 (N, H, W, C) -> float32 (N, K); `data` gives mean and deviation.

    Images that are no plain array are read by threads, a few batches ahead. The network is left in
    evaluation mode.
    """
    device = device or torch.device("cpu")
    normalise = Normaliser(data, device)
    model.eval()
    parts: list[Tensor] = []
    with closing(in_order(images, device, reporter)) as batches:
        while True:
            reporter.check_cancelled()
            with batch_time():
                batch = next(batches, None)
                if batch is None:
                    return torch.cat(parts).cpu().numpy()
                parts.append(model(normalise(batch)).float())


def in_order(
    images: Any, device: torch.device, reporter: Reporter, size: int = _BATCH
) -> Generator[Tensor, None, None]:
    """Yield all images, uint8 (B, H, W, C), in their order on the device. Close it when you stop early."""
    slices = [slice(start, start + size) for start in range(0, len(images), size)]
    if in_memory(images):
        for part in slices:
            yield to_device(images[part], device)
        return
    requests = ((part, lambda part=part: images[part]) for part in slices)
    with closing(read_ahead(requests, reporter.check_cancelled)) as ahead:
        for _, pixels in ahead:
            yield to_device(pixels, device)

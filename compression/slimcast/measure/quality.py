"""What a model keeps: its answers on held-out images, in the runtime that the camera uses."""

import numpy as np

from slimcast.reporting import Reporter
from slimcast.timing import batch_time
from slimcast_edge.runtime import Runtime

_BATCH = 250


def logits_of(runtime: Runtime, images: np.ndarray, *, reporter: Reporter) -> np.ndarray:
    """Return the logits of all images, uint8 (N, H, W, C) -> float32 (N, K)."""
    parts = []
    for start in range(0, len(images), _BATCH):
        reporter.check_cancelled()
        with batch_time():
            parts.append(runtime.run(np.ascontiguousarray(images[start : start + _BATCH])))
    return np.concatenate(parts)


def top1_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right top answers, 0..1."""
    return float((logits.argmax(1) == labels).mean())


def agreement(logits: np.ndarray, other: np.ndarray) -> float:
    """Return the share of images to which two models give the same top answer, 0..1."""
    return float((logits.argmax(1) == other.argmax(1)).mean())

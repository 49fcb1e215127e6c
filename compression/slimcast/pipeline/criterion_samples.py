"""Training images that something looks at without learning: a pruning criterion, a calibration."""

import numpy as np
import torch
from torch import Tensor

from slimcast.catalog import CRITERIA
from slimcast.pipeline.job import Job
from slimcast.prune.evidence import Samples
from slimcast.train.normalise import Normaliser


def criterion_samples(job: Job, criterion: str, *, images: int, seed: int) -> Samples | None:
    """Return training images, normalised; None where the criterion looks at none.

    Args:
        job: the run.
        criterion: name in the catalog.
        images: how many, at most.
        seed: of their choice.
    """
    if CRITERIA[criterion].needs == "nothing":
        return None
    pixels, labels = training_images(job, images, seed=seed)
    return Samples(images=pixels, labels=labels)


def training_images(job: Job, images: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return at most so many training images, normalised, (B, C, H, W), and their labels, (B,)."""
    data = job.data
    count = min(images, len(data.train_labels))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data.train_labels))[:count])
    normalise = Normaliser(data, torch.device("cpu"))
    pixels = normalise(torch.from_numpy(np.ascontiguousarray(data.train_images[chosen])))
    return pixels, torch.from_numpy(data.train_labels[chosen])

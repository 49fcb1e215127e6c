"""The training images that a pruning criterion looks at."""

import numpy as np
import torch

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
    data = job.data
    count = min(images, len(data.train_labels))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data.train_labels))[:count])
    normalise = Normaliser(data, torch.device("cpu"))
    pixels = normalise(torch.from_numpy(np.ascontiguousarray(data.train_images[chosen])))
    return Samples(images=pixels, labels=torch.from_numpy(data.train_labels[chosen]))

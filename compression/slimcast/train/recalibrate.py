"""Measure the statistics of batch norms anew, after weights or channels have changed."""

from contextlib import closing

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from slimcast.data.images import ImageData
from slimcast.reporting import Reporter
from slimcast.timing import batch_time
from slimcast.train.batches import Batches
from slimcast.train.evaluate import default_device
from slimcast.train.plan import TrainingPlan


def reestimate_batch_norm(
    model: nn.Module,
    data: ImageData,
    *,
    batches: int,
    batch_size: int,
    seed: int,
    reporter: Reporter,
) -> int:
    """Replace the statistics of all batch norms by those of fresh batches, in place.

    Forward passes only, over training images as they are; mean and variance are averaged over the batches
    with equal weights. After channels are gone the old statistics are those of another network, and this
    alone brings back much of the accuracy: Li et al., EagleEye, ECCV 2020, arXiv:2007.02491.

    Returns:
        how many batch norms were measured; 0 where the network has none, which is then left as it is.

    Raises:
        Cancelled: somebody cancelled the run; the statistics then cover the batches before that.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return 0
    device = default_device()
    plan = TrainingPlan(epochs=1, batch_size=batch_size, augment=False, seed=seed)
    momenta = [norm.momentum for norm in norms]
    model.to(device).eval()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average of all batches
            norm.train()
        _pass(model, Batches(data, plan, device), batches, reporter)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.to("cpu").eval()
    return len(norms)


@torch.no_grad()
def _pass(model: nn.Module, source: Batches, count: int, reporter: Reporter) -> None:
    with closing(source.take(count, reporter.check_cancelled)) as batches:
        for _ in range(count):
            reporter.check_cancelled()
            with batch_time():
                model(next(batches).images)

"""How the learning rate goes up and down."""

import math
from collections.abc import Callable

from slimcast.train.plan import TrainingPlan

_MOST_WARMUP_BATCHES = 500
_FLOOR = 1e-3  # of the peak: what a schedule ends with
_ONE_CYCLE_START = 1 / 25  # of the peak, as in common libraries
_ONE_CYCLE_WARMUP = 0.3


def rate_schedule(plan: TrainingPlan, *, total: int, per_epoch: int) -> Callable[[int], float]:
    """Return the share of the peak rate as a function of the batch's index.

    ``cosine``: Loshchilov and Hutter 2016 (arXiv:1608.03983), one descent. ``one_cycle``: Smith and Topin
    2017 (arXiv:1708.07120), with a cosine descent and a constant momentum.

    Args:
        plan: names the schedule and how long the rate rises.
        total: batches of the training.
        per_epoch: batches of an epoch.
    """
    one_cycle = plan.schedule == "one_cycle"
    if plan.warmup_epochs is not None:
        rise = min(total, round(plan.warmup_epochs * per_epoch))
    elif one_cycle:
        rise = max(1, int(total * _ONE_CYCLE_WARMUP))
    else:
        rise = max(1, min(total // 10, _MOST_WARMUP_BATCHES))
    start = _ONE_CYCLE_START if one_cycle else 0.0

    def at(index: int) -> float:
        if index < rise:
            return start + (1 - start) * (index + 1) / (rise + 1)
        if plan.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (index - rise) / max(1, total - rise))) + _FLOOR

    return at

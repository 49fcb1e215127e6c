"""The live curves of a training."""

import math
import time

import torch
from torch import Tensor

from slimcast.errors import StepError
from slimcast.reporting import Reporter
from slimcast.train.plan import TrainingPlan

_POINTS_PER_EPOCH = 40
_MIN_SECONDS_BETWEEN_REPORTS = 0.1


class Curve:
    """Thins the points of the live curves to what an eye can use."""

    def __init__(self, plan: TrainingPlan, per_epoch: int, total: int, reporter: Reporter) -> None:
        self._plan, self._per_epoch, self._total, self._reporter = plan, per_epoch, total, reporter
        self._every = max(1, per_epoch // _POINTS_PER_EPOCH)
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self._reported_at = 0.0

    def add(self, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch's loss and logits, (B, K); they are looked at only now and then.

        Raises:
            StepError: the loss is no longer a number.
        """
        self._losses.append(loss)
        self._hits.append((logits.argmax(1) == labels).float().mean())
        if (index + 1) % self._every and index + 1 != self._total:
            return
        mean_loss = float(torch.stack(self._losses).mean())
        if not math.isfinite(mean_loss):
            raise StepError(
                f"Training diverged: the loss is {mean_loss} after {index + 1} batches. "
                f"Try a learning_rate below {self._plan.learning_rate:g}."
            )
        x = self._x(index)
        self._reporter.point("train loss", x, mean_loss, self._plan.step)
        self._reporter.point("train accuracy", x, float(torch.stack(self._hits).mean()), self._plan.step)
        self._losses, self._hits = [], []
        now = time.monotonic()
        if now - self._reported_at >= _MIN_SECONDS_BETWEEN_REPORTS:
            self._reported_at = now
            epoch = f"{self.epoch(index):.1f} of {self._plan.epochs:g}"
            activity = f"Training, epoch {epoch}, loss {mean_loss:.3f}"
            self._reporter.progress((index + 1) / self._total, activity)

    def evaluated(self, index: int, shares: dict[str, float]) -> None:
        """Tell accuracies, 0..1, by the name of the images that they were measured on."""
        for name, share in shares.items():
            self._reporter.point(f"{name} accuracy", self._x(index), share, self._plan.step)
        told = ", ".join(f"{name} accuracy {share:.2%}" for name, share in shares.items())
        self._reporter.log(f"Epoch {self.epoch(index):.1f} of {self._plan.epochs:g}: {told}")

    def epoch(self, index: int) -> float:
        """Return how many epochs of this training are done after the batch."""
        return (index + 1) / self._per_epoch

    def _x(self, index: int) -> float:
        return self._plan.epoch_offset + self.epoch(index)

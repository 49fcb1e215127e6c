"""Train a network, from images in memory or on the disk."""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import nn

from slimcast.data.choice import images_for_choice
from slimcast.data.images import ImageData
from slimcast.measure.cost import count_macs
from slimcast.reporting import Reporter
from slimcast.timing import batch_time
from slimcast.train.average import MovingAverage
from slimcast.train.batches import Batch, Batches
from slimcast.train.curve import Curve
from slimcast.train.distill import Lesson
from slimcast.train.evaluate import accuracy, accuracy_on, default_device, logits_of
from slimcast.train.memory import keep_freed_memory
from slimcast.train.modes import train_mode
from slimcast.train.optimize import make_optimizer, set_rate
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import Precision, choose
from slimcast.train.schedule import rate_schedule
from slimcast.train.stopping import EarlyStopping

__all__ = ["accuracy", "default_device", "fit", "logits_of"]

Hook = Callable[[nn.Module], None]


def fit(
    model: nn.Module,
    data: ImageData,
    plan: TrainingPlan,
    *,
    reporter: Reporter,
    teacher: nn.Module | None = None,
    after_backward: Hook | None = None,
    after_step: Hook | None = None,
) -> None:
    """Train in place; the network comes back on the CPU in evaluation mode.

    Frozen weights stay as they are, and so do the statistics of frozen batch norms. On one machine, with the
    same number of threads, the same plan gives the same weights (on a GPU as far as cuDNN allows).

    Args:
        model: the network; None of its weights may be replaced while it trains, only changed.
        data: what to learn.
        plan: how.
        reporter: is told curves, accuracies and progress.
        teacher: learn from it as well, as the plan's weights say; is moved to the device.
        after_backward: is given the network when gradients are there, before they are clipped.
        after_step: is given the network after each step of the optimizer, such as to keep weights at zero.

    Raises:
        StepError: the loss is no longer a number, or every weight is frozen.
        Cancelled: somebody cancelled the run.
    """
    keep_freed_memory()
    device = default_device()
    precision = plan.precision or choose(model, device, macs=_macs(model, data))
    reporter.log(f"Training on {device.type}, {precision.describe()}, {torch.get_num_threads()} threads")
    torch.manual_seed(plan.seed)  # dropout
    for network in (model,) if teacher is None else (model, teacher.eval()):
        network.to(device)
        if precision.channels_last:
            network.to(memory_format=torch.channels_last)
    training = _Training(model, data, plan, _Setting(device, precision, reporter))
    training.after_backward, training.after_step = after_backward, after_step
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            training.run(teacher)
    finally:
        # Contiguous again, so that what is saved does not depend on the machine it was trained on.
        model.to("cpu").to(memory_format=torch.contiguous_format)
        model.eval()


@dataclass(frozen=True)
class _Setting:
    device: torch.device
    precision: Precision
    reporter: Reporter


class _Training:
    """One training: what changes from batch to batch."""

    def __init__(self, model: nn.Module, data: ImageData, plan: TrainingPlan, setting: _Setting) -> None:
        self.model, self.data, self.plan, self.setting = model, data, plan, setting
        self.after_backward: Hook | None = None
        self.after_step: Hook | None = None
        self._batches = Batches(data, plan, setting.device)
        self._total = max(1, math.ceil(plan.epochs * self._batches.per_epoch))
        self._optimizer = make_optimizer(model, plan)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._rate = rate_schedule(plan, total=self._total, per_epoch=self._batches.per_epoch)
        self._curve = Curve(plan, self._batches.per_epoch, self._total, setting.reporter)
        self._average = MovingAverage(model, plan.ema_decay) if plan.ema_decay else None
        self._stopping = EarlyStopping(plan.patience) if plan.patience is not None else None

    def run(self, teacher: nn.Module | None) -> None:
        """Train to the end, or until there is nothing better to be had."""
        check, last = self.setting.reporter.check_cancelled, self._total - 1
        lesson = Lesson(self.model, self.plan, self.setting.precision, teacher)
        with lesson, closing(self._batches.take(self._total, check)) as batches:
            train_mode(self.model)
            for index in range(self._total):
                check()
                with batch_time():
                    batch = next(batches)
                    loss, logits = self._step(index, batch, lesson)
                self._curve.add(index, loss, logits, batch.labels)
                if (index + 1) % self._batches.per_epoch and index != last:
                    continue
                if self._evaluate(index):
                    break
                train_mode(self.model)
        if self._average is not None:
            self._average.copy_to(self.model)
        if self._stopping is not None:
            self._stopping.restore(self.model)

    def _step(self, index: int, batch: Batch, lesson: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
        device, precision = self.setting.device, self.setting.precision
        with torch.autocast(device.type, torch.bfloat16, enabled=precision.bfloat16):
            logits = self.model(batch.images)
        loss = lesson.loss(logits, batch)
        self._optimizer.zero_grad()
        loss.backward()
        if self.after_backward is not None:
            self.after_backward(self.model)
        if self.plan.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self._trained, self.plan.gradient_clip, foreach=True)
        set_rate(self._optimizer, self.plan.learning_rate * self._rate(index))
        self._optimizer.step()
        if self.after_step is not None:
            self.after_step(self.model)
        if self._average is not None:
            self._average.update()
        return loss.detach(), logits.detach()

    def _evaluate(self, index: int) -> bool:
        """Tell how good the network is by now, and return whether to stop."""
        model = self.model if self._average is None else self._average.model
        reporter, device = self.setting.reporter, self.setting.device
        shares = {"test": accuracy(model, self.data, device=device, reporter=reporter)}
        if self._stopping is not None or self.data.validation_images is not None:
            images, labels = images_for_choice(self.data)
            shares["validation"] = accuracy_on(
                model, images, labels, self.data, device=device, reporter=reporter
            )
        self._curve.evaluated(index, shares)
        if self._stopping is None:
            return False
        epoch = self._curve.epoch(index)
        over = self._stopping.is_over(model, shares["validation"], epoch)
        if over or index + 1 == self._total:
            reporter.log(
                f"{'Stopped early after' if over else 'Done after'} {epoch:.1f} epochs; kept the weights of "
                f"epoch {self._stopping.epoch:.1f}, validation accuracy {self._stopping.best:.2%}"
            )
        return over


def _macs(model: nn.Module, data: ImageData) -> int:
    example = torch.zeros(1, data.channels, data.image_size, data.image_size)
    return count_macs(model, example.to(next(model.parameters()).device))

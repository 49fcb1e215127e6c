"""Train a network on a whole set held in memory as uint8."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.data.images import ImageData
from slimcast.errors import StepError
from slimcast.reporting import Reporter
from slimcast.train.augment import shifted
from slimcast.train.memory import keep_freed_memory
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import Precision, choose

_POINTS_PER_EPOCH = 40
_MIN_SECONDS_BETWEEN_REPORTS = 0.1
_SGD_RATE_FACTOR = 25  # SGD with momentum wants a larger rate than AdamW, for which rates are given
_LARGEST_GRADIENT = 5.0
_EVALUATION_BATCH = 500


class _Batches:
    """Draws shuffled, augmented batches: normalised float (B, C, H, W) and labels (B,)."""

    def __init__(self, data: ImageData, plan: TrainingPlan, device: torch.device) -> None:
        self._images = torch.from_numpy(data.train_images).to(device)
        self._labels = torch.from_numpy(data.train_labels).to(device)
        self._normalise = Normaliser(data, device)
        self._generator = torch.Generator().manual_seed(plan.seed)
        self._size = min(plan.batch_size, len(data.train_labels))
        self._augment = plan.augment
        self._order = torch.empty(0, dtype=torch.int64)
        self.per_epoch = max(1, len(data.train_labels) // self._size)

    def next(self) -> tuple[Tensor, Tensor]:
        if len(self._order) < self._size:
            self._order = torch.randperm(len(self._labels), generator=self._generator)
        chosen, self._order = self._order[: self._size], self._order[self._size :]
        chosen = chosen.to(self._images.device)
        images = self._images[chosen]
        if self._augment:
            images = shifted(images, self._generator)
        return self._normalise(images), self._labels[chosen]


class Normaliser:
    """Brings uint8 (N, H, W, C) to float32 (N, C, H, W) as the network wants it; channels last in memory."""

    def __init__(self, data: ImageData, device: torch.device) -> None:
        std = torch.tensor(data.std, device=device)
        self._scale = 1 / (255 * std)
        self._shift = -torch.tensor(data.mean, device=device) / std

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised batch."""
        return (images.float() * self._scale + self._shift).permute(0, 3, 1, 2)


def default_device() -> torch.device:
    """Return the GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    model: nn.Module,
    data: ImageData,
    plan: TrainingPlan,
    *,
    reporter: Reporter,
    teacher: nn.Module | None = None,
    after_step: Callable[[nn.Module], None] | None = None,
) -> None:
    """Train in place; the network comes back on the CPU in evaluation mode.

    Args:
        teacher: learn from its logits as well (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).
        after_step: is given the network after each step of the optimizer, such as to keep weights at zero.

    Raises:
        StepError: the loss is no longer a number.
        Cancelled: somebody cancelled the run.
    """
    keep_freed_memory()
    device = default_device()
    precision = choose(model, device)
    reporter.log(f"Training on {device.type}, {precision.describe()}, {torch.get_num_threads()} threads")
    torch.manual_seed(plan.seed)  # dropout
    model.to(device)
    if precision.channels_last:
        model.to(memory_format=torch.channels_last)
    if teacher is not None:
        teacher.to(device).eval()
    _train_batches(
        model,
        data,
        plan,
        device=device,
        precision=precision,
        reporter=reporter,
        teacher=teacher,
        after_step=after_step,
    )
    # Contiguous again, so that what is saved does not depend on the machine it was trained on.
    model.to("cpu").to(memory_format=torch.contiguous_format)
    model.eval()


def _train_batches(
    model: nn.Module,
    data: ImageData,
    plan: TrainingPlan,
    *,
    device: torch.device,
    precision: Precision,
    reporter: Reporter,
    teacher: nn.Module | None,
    after_step: Callable[[nn.Module], None] | None,
) -> None:
    batches = _Batches(data, plan, device)
    total = max(1, math.ceil(plan.epochs * batches.per_epoch))
    optimizer = _optimizer(model, plan)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total))
    curve = _Curve(plan, batches.per_epoch, total, reporter)
    model.train()
    for index in range(total):
        reporter.check_cancelled()
        images, labels = batches.next()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision.bfloat16):
            logits = model(images)
            loss = _loss(logits, labels, plan, _teach(teacher, images, plan))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        if after_step is not None:
            after_step(model)
        schedule.step()
        curve.add(index, loss.detach(), logits.detach(), labels)
        if (index + 1) % batches.per_epoch == 0 or index + 1 == total:
            share = accuracy(model, data, device=device, reporter=reporter)
            curve.test(index, share)
            model.train()


def _optimizer(model: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    # Biases and norm layers are not decayed: that would only pull the scales down.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if plan.optimizer == "sgd":
        rate = plan.learning_rate * _SGD_RATE_FACTOR
        return torch.optim.SGD(
            groups, lr=rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay / 20
        )
    return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay, foreach=True)


def _rate(step: int, total: int) -> float:
    """Return the share of the peak rate: linear warm-up over the first tenth, then half a cosine."""
    warm = max(1, min(total // 10, 500))
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))) + 1e-3


def _teach(teacher: nn.Module | None, images: Tensor, plan: TrainingPlan) -> Tensor | None:
    if teacher is None or plan.teacher_weight == 0:
        return None
    with torch.no_grad():
        return teacher(images)


def _loss(logits: Tensor, labels: Tensor, plan: TrainingPlan, taught: Tensor | None) -> Tensor:
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=plan.label_smoothing)
    if taught is None:
        return loss
    t = plan.temperature
    student, wanted = F.log_softmax(logits.float() / t, 1), F.log_softmax(taught.float() / t, 1)
    soft = F.kl_div(student, wanted, reduction="batchmean", log_target=True) * t * t
    return (1 - plan.teacher_weight) * loss + plan.teacher_weight * soft


class _Curve:
    """Thins the points of the live curves to what an eye can use."""

    def __init__(self, plan: TrainingPlan, per_epoch: int, total: int, reporter: Reporter) -> None:
        self._plan, self._per_epoch, self._total, self._reporter = plan, per_epoch, total, reporter
        self._every = max(1, per_epoch // _POINTS_PER_EPOCH)
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self._reported_at = 0.0

    def add(self, index: int, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
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
        x = self._epoch(index)
        self._reporter.point("train loss", x, mean_loss, self._plan.step)
        self._reporter.point("train accuracy", x, float(torch.stack(self._hits).mean()), self._plan.step)
        self._losses, self._hits = [], []
        now = time.monotonic()
        if now - self._reported_at >= _MIN_SECONDS_BETWEEN_REPORTS:
            self._reported_at = now
            epoch = f"{x - self._plan.epoch_offset:.1f} of {self._plan.epochs:g}"
            activity = f"Training, epoch {epoch}, loss {mean_loss:.3f}"
            self._reporter.progress((index + 1) / self._total, activity)

    def test(self, index: int, share: float) -> None:
        self._reporter.point("test accuracy", self._epoch(index), share, self._plan.step)
        self._reporter.log(
            f"Epoch {self._epoch(index) - self._plan.epoch_offset:.1f} of {self._plan.epochs:g}: "
            f"test accuracy {share:.2%}"
        )

    def _epoch(self, index: int) -> float:
        return self._plan.epoch_offset + (index + 1) / self._per_epoch


def accuracy(model: nn.Module, data: ImageData, *, device: torch.device, reporter: Reporter) -> float:
    """Return the share of held-out images whose top answer is right."""
    logits = logits_of(model, data.test_images, data, device=device, reporter=reporter)
    return float((logits.argmax(1) == data.test_labels).mean())


@torch.no_grad()
def logits_of(
    model: nn.Module,
    images: np.ndarray,
    data: ImageData,
    *,
    reporter: Reporter,
    device: torch.device | None = None,
) -> np.ndarray:
    """Return the logits of images, uint8 (N, H, W, C) -> float32 (N, K); `data` gives mean and deviation."""
    device = device or torch.device("cpu")
    normalise = Normaliser(data, device)
    model.eval()
    parts = []
    for start in range(0, len(images), _EVALUATION_BATCH):
        reporter.check_cancelled()
        batch = torch.from_numpy(images[start : start + _EVALUATION_BATCH]).to(device)
        parts.append(model(normalise(batch)).float().cpu().numpy())
    return np.concatenate(parts)

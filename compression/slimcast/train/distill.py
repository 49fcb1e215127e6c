"""Learning from a teacher: its logits, and where it looks."""

from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.errors import StepError
from slimcast.train.batches import Batch
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import Precision

_POINTS = 4  # feature maps compared: those of the smallest sides, where meaning is


class Lesson:
    """The loss of a batch: labels, and a teacher's logits and feature maps where the plan has them.

    Use it as a context manager: feature maps are caught by hooks, which it takes away again.
    """

    def __init__(
        self, student: nn.Module, plan: TrainingPlan, precision: Precision, teacher: nn.Module | None
    ) -> None:
        self._plan, self._precision = plan, precision
        taught = plan.teacher_weight > 0 or plan.feature_weight > 0
        self._teacher = teacher if taught else None
        features = self._teacher is not None and plan.feature_weight > 0
        self._student_maps = FeatureMaps(student) if features else None
        self._teacher_maps = FeatureMaps(teacher) if features and teacher is not None else None

    def __enter__(self) -> "Lesson":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for maps in (self._student_maps, self._teacher_maps):
            if maps is not None:
                maps.close()

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the logits, (B, K), that the student has just given for the batch.

        Raises:
            StepError: feature maps are to be compared, and there are none of the same size.
        """
        plan, logits = self._plan, logits.float()
        loss = _label_loss(logits, batch, plan.label_smoothing)
        if self._teacher is None:
            return loss
        wanted, wanted_attention = self._ask_teacher(batch.images)
        if plan.teacher_weight:
            soft = soft_loss(logits, wanted, plan.temperature)
            loss = (1 - plan.teacher_weight) * loss + plan.teacher_weight * soft
        if self._student_maps is not None:
            own = self._student_maps.attention(like=wanted_attention)
            if not own:
                raise StepError(
                    "Teacher and student have no feature maps of the same size to compare. Turn "
                    "distill.features off, or choose another teacher."
                )
            loss = loss + plan.feature_weight * attention_loss(own, wanted_attention)
        return loss

    def _ask_teacher(self, images: Tensor) -> tuple[Tensor, dict[tuple[int, int], Tensor]]:
        """Return the teacher's logits and attention maps; once a batch, without any record for gradients."""
        assert self._teacher is not None
        with (
            torch.inference_mode(),
            torch.autocast(images.device.type, torch.bfloat16, enabled=self._precision.bfloat16),
        ):
            logits = self._teacher(images)
            maps = self._teacher_maps.attention() if self._teacher_maps is not None else {}
        # Tensors made in inference mode cannot be kept for a backward pass; copies of these few can.
        return logits.float().clone(), {size: attention.clone() for size, attention in maps.items()}


def soft_loss(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the divergence of softened answers, (B, K), scaled by the temperature squared.

    Hinton, Vinyals and Dean 2015, arXiv:1503.02531.
    """
    own = F.log_softmax(logits / temperature, 1)
    target = F.log_softmax(wanted / temperature, 1)
    return F.kl_div(own, target, reduction="batchmean", log_target=True) * temperature**2


class FeatureMaps:
    """Catches, at each size of image that a network works on, the last feature map that it makes.

    By size rather than by name: student and teacher may be different networks. In a residual network the
    last map of a size is the one behind the last addition, where an activation module follows it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._maps: dict[tuple[int, int], Tensor] = {}
        leaves = [m for m in model.modules() if not any(True for _ in m.children())]
        self._hooks = [leaf.register_forward_hook(self._catch) for leaf in leaves]

    def _catch(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            self._maps[(output.shape[-2], output.shape[-1])] = output

    def attention(self, like: dict[tuple[int, int], Tensor] | None = None) -> dict[tuple[int, int], Tensor]:
        """Return the attention maps of the last forward pass by size, each (B, H * W), and forget them.

        Attention is the sum of squares over channels, with norm 1 for each image: eq. 1 and 2 of Zagoruyko
        and Komodakis 2017 (arXiv:1612.03928). It does not depend on how many channels there are.

        Args:
            like: only the sizes of these.
        """
        caught, self._maps = self._maps, {}
        sizes = (
            sorted(caught)[:_POINTS] if like is None else [size for size in sorted(like) if size in caught]
        )
        return {size: F.normalize(caught[size].float().square().sum(1).flatten(1)) for size in sizes}

    def close(self) -> None:
        """Take the hooks away."""
        for hook in self._hooks:
            hook.remove()
        self._maps = {}


def attention_loss(own: dict[tuple[int, int], Tensor], wanted: dict[tuple[int, int], Tensor]) -> Tensor:
    """Return the mean distance of attention maps over images and over the sizes that both have."""
    distances = [(own[size] - wanted[size]).norm(dim=1).mean() for size in own]
    return torch.stack(distances).mean()


def _label_loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    loss = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    if batch.others is None:
        return loss
    other = F.cross_entropy(logits, batch.others, label_smoothing=smoothing)
    return batch.share * loss + (1 - batch.share) * other

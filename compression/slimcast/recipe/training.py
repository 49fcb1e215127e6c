"""Steps that train."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from slimcast.recipe.part import Part

_RUN = re.compile(r"run:[A-Za-z0-9]+(/[A-Za-z0-9][A-Za-z0-9_.-]*)?")


class Distillation(Part):
    """Learn from another model as well: its logits (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).

    With `features` also from where it looks: attention transfer between feature maps of the same size
    (Zagoruyko and Komodakis 2017, arXiv:1612.03928), whatever their numbers of channels.
    """

    teacher: str = Field(
        default="baseline",
        description="baseline (the network before it was compressed), run:ID (what that run has left) or "
        "run:ID/VARIANT.",
    )
    temperature: float = Field(default=4.0, gt=0)
    weight: float = Field(default=0.7, ge=0, le=1, description="Share of the teacher's logits in the loss.")
    features: bool = Field(default=False, description="Match feature maps, too.")
    feature_weight: float = Field(default=1.0, gt=0, description="Weight of the feature maps in the loss.")

    @field_validator("teacher")
    @classmethod
    def _names_a_teacher(cls, teacher: str) -> str:
        if teacher != "baseline" and not _RUN.fullmatch(teacher):
            raise ValueError(f"must be 'baseline', 'run:ID' or 'run:ID/VARIANT', but is {teacher!r}")
        return teacher


class Augment(Part):
    """How training images are varied. ``augment: true`` means these defaults, ``false`` turns all off."""

    shift: bool = Field(
        default=True, description="Move images a little; pad and crop where images may be mirrored."
    )
    flip: bool | None = Field(
        default=None, description="Mirror half of them; without a value, where the data allow it."
    )
    erase: float = Field(
        default=0.0, ge=0, le=1, description="Probability of a hidden rectangle (random erasing)."
    )
    mixup: float = Field(default=0.0, ge=0, le=10, description="Alpha of mixup; 0: none.")


def _augment(given: Any) -> Any:
    if isinstance(given, bool):
        return {} if given else {"shift": False, "flip": False}
    return given


def _layout(given: Any) -> Any:
    return None if given == "auto" else given


WeightDecay = Annotated[
    float | None, Field(ge=0, description="Without a value, 0.01 for adamw and 0.0005 for sgd.")
]


class Trained(Part):
    """What all steps have in common that train; a step with other defaults names them."""

    epochs: float = Field(default=3, gt=0, le=1000)
    batch_size: int = Field(default=128, ge=1, le=65536)
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak; without a value, the network's own default."
    )
    optimizer: Literal["sgd", "adamw"] = "adamw"


class _Training(Trained):
    weight_decay: WeightDecay = None
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    warmup_epochs: float | None = Field(
        default=None, ge=0, le=1000, description="Linear rise of the rate; without a value, a tenth."
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: Annotated[Augment, BeforeValidator(_augment)] = Augment()
    gradient_clip: float = Field(default=5.0, ge=0, description="Largest norm of the gradient; 0: no limit.")
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="Moving average of the weights, such as 0.999; 0: none."
    )
    patience: int | None = Field(
        default=None, ge=1, le=1000, description="Stop after that many epochs without a better validation."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Numbers that training computes with; auto: probed once on each machine."
    )
    channels_last: Annotated[bool | None, BeforeValidator(_layout)] = Field(
        default=None, description="Memory layout of images; without a value (auto), probed."
    )
    recalibrate_batches: int = Field(
        default=0, ge=0, le=10_000, description="Batches to measure batch-norm statistics on in the end."
    )
    distill: Distillation | None = None


class TrainStep(_Training):
    """Train from the weights that are there."""

    kind: Literal["train"]

    @model_validator(mode="after")
    def _has_another_teacher(self) -> "TrainStep":
        if self.distill is not None and self.distill.teacher == "baseline":
            raise ValueError(
                "a 'train' step makes the baseline and cannot learn from it: name a teacher, run:ID"
            )
        return self


class FinetuneStep(_Training):
    """Train a compressed model on, at a lower learning rate, with or without a teacher."""

    kind: Literal["finetune"]
    epochs: float = Field(default=1, gt=0, le=1000)

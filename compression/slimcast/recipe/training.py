"""Steps that train."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.part import Part


class Distillation(Part):
    """Learn from another model's logits as well (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

    teacher: Literal["baseline"] = "baseline"
    temperature: float = Field(default=4.0, gt=0)
    weight: float = Field(default=0.7, ge=0, le=1, description="Share of the teacher's part in the loss.")


class _Training(Part):
    epochs: float = Field(default=3, gt=0, le=1000)
    batch_size: int = Field(default=128, ge=1, le=65536)
    learning_rate: float | None = Field(default=None, gt=0, description="None: the network's own default.")
    optimizer: Literal["sgd", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: bool = True


class TrainStep(_Training):
    """Train from the weights that are there."""

    kind: Literal["train"]


class FinetuneStep(_Training):
    """Train a compressed model on, at a lower learning rate, with or without a teacher."""

    kind: Literal["finetune"]
    epochs: float = Field(default=1, gt=0, le=1000)
    distill: Distillation | None = None

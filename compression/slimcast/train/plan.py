"""What one training needs to know."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How to train.

    Attributes:
        epochs: may be a fraction. learning_rate: the peak. augment: shift images a little.
        seed: of the order of the images and their shifts.
        temperature, teacher_weight: distillation; a weight of 0 turns it off.
        step: index of the recipe's step, for the points of the live curves.
        epoch_offset: where the curves start on their x axis, in epochs.
    """

    epochs: float
    batch_size: int = 128
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    augment: bool = True
    seed: int = 0
    temperature: float = 4.0
    teacher_weight: float = 0.0
    step: int = 0
    epoch_offset: float = 0.0

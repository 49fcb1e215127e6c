"""What one training needs to know."""

from dataclasses import dataclass

from slimcast.train.precision import Precision


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are varied; all off is `Augmentation(shift=False, flip=False)`.

    Attributes:
        shift: move each image a little: by up to a fourteenth of its side with its border repeated, or, where
            images may be mirrored, by up to an eighth with its border reflected (4 pixels at 32, the usual
            pad-and-crop of CIFAR).
        flip: mirror half of the images; None: where the data say that a mirrored image is still of its class.
        erase: probability with which a rectangle of an image is replaced by the mean colour
            (Zhong et al. 2017, arXiv:1708.04896).
        mixup: alpha of the Beta distribution by which two images are blended; 0: none
            (Zhang et al. 2017, arXiv:1710.09412).
    """

    shift: bool = True
    flip: bool | None = None
    erase: float = 0.0
    mixup: float = 0.0


NO_AUGMENTATION = Augmentation(shift=False, flip=False)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How to train.

    Attributes:
        epochs: may be a fraction. learning_rate: the peak. optimizer: ``adamw`` or ``sgd`` (Nesterov,
            momentum 0.9). weight_decay: None takes 0.01 for adamw and 0.0005 for sgd.
        schedule: ``cosine``, ``one_cycle`` or ``constant``. warmup_epochs: linear rise of the rate; None
            takes a tenth of the training, at most 500 batches (three tenths for one_cycle).
        augment: True varies images as suits the data. seed: of order, augmentation and dropout.
        gradient_clip: largest norm of the gradient; None: as it comes.
        ema_decay: train on, but keep a moving average of the weights and batch-norm statistics; 0: none.
        patience: stop after that many epochs without a better accuracy on the images for choices, and keep
            the best weights; None: train to the end.
        precision: number format and memory layout; None: chosen by rule, see `slimcast.train.precision`.
        temperature, teacher_weight: distillation of logits; a weight of 0 turns it off.
        feature_weight: weight of attention transfer from the teacher's feature maps; 0: none.
        step: index of the recipe's step, for the points of the live curves.
        epoch_offset: where the curves start on their x axis, in epochs.
    """

    epochs: float
    batch_size: int = 128
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    weight_decay: float | None = None
    schedule: str = "cosine"
    warmup_epochs: float | None = None
    label_smoothing: float = 0.0
    augment: bool | Augmentation = True
    gradient_clip: float | None = 5.0
    ema_decay: float = 0.0
    patience: int | None = None
    precision: Precision | None = None
    seed: int = 0
    temperature: float = 4.0
    teacher_weight: float = 0.0
    feature_weight: float = 0.0
    step: int = 0
    epoch_offset: float = 0.0

    @property
    def augmentation(self) -> Augmentation:
        """What `augment` stands for."""
        if isinstance(self.augment, Augmentation):
            return self.augment
        return Augmentation() if self.augment else NO_AUGMENTATION

"""What the catalog says of a network."""

from dataclasses import dataclass

from slimcast_edge.registry import KindInfo


@dataclass(frozen=True, kw_only=True)
class ModelInfo(KindInfo):
    """A network. `impl` is called as ``build(classes: int, channels: int, image_size: int) -> nn.Module``.

    Attributes:
        image_size: default side of the square input, pixels.
        smallest: smallest side that the network can be built for, pixels.
        learning_rate: default for training from scratch with AdamW; fine-tuning takes a tenth of it.
        imagenet: name of torchvision's weights (``ResNet18_Weights``); empty where there are none.
    """

    image_size: int = 32
    smallest: int = 32
    learning_rate: float = 2e-3
    imagenet: str = ""

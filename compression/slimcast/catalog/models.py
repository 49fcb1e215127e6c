"""Networks that a recipe can name."""

from dataclasses import dataclass

from slimcast_edge.registry import KindInfo, Registry


@dataclass(frozen=True, kw_only=True)
class ModelInfo(KindInfo):
    """A network. `impl` is called as ``build(classes: int, channels: int, image_size: int) -> nn.Module``.

    Attributes:
        image_size: smallest and default side of the square input, pixels.
        learning_rate: default for training from scratch with AdamW; fine-tuning takes a tenth of it.
    """

    image_size: int
    learning_rate: float


MODELS: Registry[ModelInfo] = Registry(
    "network",
    [
        ModelInfo(
            name="lenet5",
            title="LeNet-5",
            description="Two convolutions and three linear layers; 61 706 parameters (32² grey, 10 classes).",
            impl="slimcast.models.lenet:lenet5",
            citation="LeCun et al., Gradient-based learning applied to document recognition, 1998",
            image_size=32,
            learning_rate=2e-3,
        ),
        ModelInfo(
            name="mobilenet_v2",
            title="MobileNetV2",
            description="Inverted residuals with depthwise convolutions; 2.2 M parameters with 10 classes.",
            impl="slimcast.models.mobilenet_v2:mobilenet_v2",
            citation="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, "
            "arXiv:1801.04381",
            image_size=32,
            learning_rate=2e-3,
        ),
    ],
)

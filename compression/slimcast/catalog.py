"""Everything that a recipe can name. Entries are data; what they name is imported only when it is used.

Adding a kind is one new file and one entry here.
"""

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


@dataclass(frozen=True, kw_only=True)
class DataInfo(KindInfo):
    """A data set. `impl` is called as ``load(root: Path) -> ImageData``.

    Attributes:
        classes: number of classes. channels: 1 grey, 3 RGB. image_size: its own side, pixels.
    """

    classes: int
    channels: int
    image_size: int


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

DATA: Registry[DataInfo] = Registry(
    "data set",
    [
        DataInfo(
            name="digits",
            title="Digits (scikit-learn)",
            description="1 797 handwritten digits of 8x8 pixels, part of scikit-learn: nothing to download.",
            impl="slimcast.data.digits:load",
            citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, CC BY 4.0",
            classes=10,
            channels=1,
            image_size=8,
        ),
        DataInfo(
            name="mnist",
            title="MNIST",
            description="60 000 training and 10 000 test images of handwritten digits, 28x28 grey.",
            impl="slimcast.data.mnist:load",
            citation="LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998",
            classes=10,
            channels=1,
            image_size=28,
        ),
    ],
)

STEPS: Registry[KindInfo] = Registry(
    "step",
    [
        KindInfo(
            name="train",
            title="Train",
            description="Train from the weights that are there.",
            impl="slimcast.recipe:TrainStep",
        ),
        KindInfo(
            name="prune",
            title="Prune",
            description="Remove whole channels: fewer multiply-accumulates, smaller and faster everywhere.",
            impl="slimcast.recipe:PruneStep",
            citation="Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900",
        ),
        KindInfo(
            name="finetune",
            title="Fine-tune",
            description="Train a compressed model on, with or without a teacher.",
            impl="slimcast.recipe:FinetuneStep",
        ),
        KindInfo(
            name="quantize",
            title="Quantize",
            description="Store and compute in integers; makes the final artifact.",
            impl="slimcast.recipe:QuantizeStep",
            citation="Jacob et al., Quantization and Training of Neural Networks for Efficient "
            "Integer-Arithmetic-Only Inference, CVPR 2018, arXiv:1712.05877",
        ),
    ],
)

CRITERIA: Registry[KindInfo] = Registry(
    "pruning criterion",
    [
        KindInfo(
            name="l2",
            title="L2 norm",
            description="Channels whose group of weights has the smallest L2 norm go first.",
            impl="slimcast.prune.criteria:l2",
            citation="Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710; "
            "with L2, over dependency groups",
        ),
    ],
)

QUANTIZERS: Registry[KindInfo] = Registry(
    "quantizer",
    [
        KindInfo(
            name="static",
            title="Static int8",
            description="int8 weights per channel and int8 activations, calibrated on training images; "
            "runs in integer kernels.",
            impl="slimcast.quantize.static:quantize",
            citation="Wu et al., Integer Quantization for Deep Learning Inference, 2020, arXiv:2004.09602",
        ),
    ],
)

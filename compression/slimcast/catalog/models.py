"""Networks that a recipe can name."""

from dataclasses import dataclass

from slimcast_edge.registry import KindInfo, Registry


@dataclass(frozen=True, kw_only=True)
class ModelInfo(KindInfo):
    """A network. `impl` is called as ``build(classes: int, channels: int, image_size: int) -> nn.Module``.

    Attributes:
        image_size: default side of the square input, pixels.
        smallest: smallest side that the network can be built for, pixels.
        learning_rate: default for training from scratch with AdamW; fine-tuning takes a tenth of it.
    """

    image_size: int = 32
    smallest: int = 32
    learning_rate: float = 2e-3


_LECUN = "LeCun et al., Gradient-based learning applied to document recognition, 1998"
_ALEXNET = (
    "Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks, "
    "NIPS 2012; one tower: Krizhevsky, arXiv:1404.5997"
)
_VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015, arXiv:1409.1556"
_RESNET = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385"
_MOBILENET_V2 = (
    "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381"
)

MODELS: Registry[ModelInfo] = Registry(
    "network",
    [
        ModelInfo(
            name="lenet5",
            title="LeNet-5",
            description="Two convolutions and three linear layers; 61 706 parameters (32² grey, 10 classes).",
            impl="slimcast.models.lenet:lenet5",
            citation=_LECUN,
        ),
        ModelInfo(
            name="mobilenet_v2",
            title="MobileNetV2",
            description="Inverted residuals with depthwise convolutions; 2.2 M parameters with 10 classes.",
            impl="slimcast.models.mobilenet_v2:mobilenet_v2",
            citation=_MOBILENET_V2,
        ),
        ModelInfo(
            name="alexnet",
            title="AlexNet, small images",
            description="AlexNet's widths with kernels of 3x3, for 32²; 23.3 M parameters with 10 classes.",
            impl="slimcast.models.alexnet:alexnet",
            citation=_ALEXNET,
            learning_rate=5e-4,
        ),
        ModelInfo(
            name="vgg16",
            title="VGG16, small images",
            description="Thirteen convolutions, one hidden layer of 512; 15.0 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16",
            citation=_VGG,
            learning_rate=3e-4,
        ),
        ModelInfo(
            name="vgg16_bn",
            title="VGG16 with batch norm, small images",
            description="VGG16 for small images with batch norms; 15.0 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16_bn",
            citation=_VGG,
            learning_rate=1e-3,
        ),
        ModelInfo(
            name="resnet20",
            title="ResNet-20 (CIFAR)",
            description="19 convolutions of 16 to 64 channels, shortcuts without weights; 0.27 M parameters.",
            impl="slimcast.models.resnet_cifar:resnet20",
            citation=_RESNET,
        ),
        ModelInfo(
            name="resnet32",
            title="ResNet-32 (CIFAR)",
            description="31 convolutions of 16 to 64 channels, shortcuts without weights; 0.46 M parameters.",
            impl="slimcast.models.resnet_cifar:resnet32",
            citation=_RESNET,
        ),
        ModelInfo(
            name="resnet56",
            title="ResNet-56 (CIFAR)",
            description="55 convolutions of 16 to 64 channels, shortcuts without weights; 0.85 M parameters.",
            impl="slimcast.models.resnet_cifar:resnet56",
            citation=_RESNET,
        ),
    ],
)

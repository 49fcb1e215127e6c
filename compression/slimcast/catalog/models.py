"""Networks that a recipe can name."""

from slimcast.catalog.network_info import ModelInfo
from slimcast.catalog.open_networks import Networks

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

_DENSENET = "Huang et al., Densely Connected Convolutional Networks, CVPR 2017, arXiv:1608.06993"
_MOBILENET_V3 = "Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244"
_EFFICIENTNET = "Tan and Le, EfficientNet, ICML 2019, arXiv:1905.11946"

MODELS = Networks(
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
            imagenet="MobileNet_V2_Weights",
        ),
        ModelInfo(
            name="mobilenet_v3_small",
            title="MobileNetV3 small",
            description="Inverted residuals with squeeze-and-excitation; 1.5 M parameters with 10 classes.",
            impl="slimcast.models.mobilenet_v3:mobilenet_v3_small",
            citation=_MOBILENET_V3,
            imagenet="MobileNet_V3_Small_Weights",
        ),
        ModelInfo(
            name="mobilenet_v3_large",
            title="MobileNetV3 large",
            description="Inverted residuals with squeeze-and-excitation; 4.2 M parameters with 10 classes.",
            impl="slimcast.models.mobilenet_v3:mobilenet_v3_large",
            citation=_MOBILENET_V3,
            imagenet="MobileNet_V3_Large_Weights",
        ),
        ModelInfo(
            name="efficientnet_b0",
            title="EfficientNet-B0",
            description="Inverted residuals with squeeze-and-excitation and SiLU; 4.0 M parameters.",
            impl="slimcast.models.efficientnet:efficientnet_b0",
            citation=_EFFICIENTNET,
            imagenet="EfficientNet_B0_Weights",
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
            name="alexnet_imagenet",
            title="AlexNet",
            description="torchvision's AlexNet for 224²; 57.0 M parameters with 10 classes.",
            impl="slimcast.models.alexnet:alexnet_imagenet",
            citation=_ALEXNET,
            image_size=224,
            smallest=64,
            learning_rate=5e-4,
            imagenet="AlexNet_Weights",
        ),
        ModelInfo(
            name="vgg16",
            title="VGG16, small images",
            description="Thirteen convolutions, one hidden layer of 512; 15.0 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16",
            citation=_VGG,
            learning_rate=3e-4,
            imagenet="VGG16_Weights",
        ),
        ModelInfo(
            name="vgg16_bn",
            title="VGG16 with batch norm, small images",
            description="VGG16 for small images with batch norms; 15.0 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16_bn",
            citation=_VGG,
            learning_rate=1e-3,
            imagenet="VGG16_BN_Weights",
        ),
        ModelInfo(
            name="vgg16_imagenet",
            title="VGG16",
            description="torchvision's VGG16 for 224²; 134.3 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16_imagenet",
            citation=_VGG,
            image_size=224,
            learning_rate=1e-4,
            imagenet="VGG16_Weights",
        ),
        ModelInfo(
            name="vgg16_bn_imagenet",
            title="VGG16 with batch norm",
            description="torchvision's VGG16 with batch norms for 224²; 134.3 M parameters with 10 classes.",
            impl="slimcast.models.vgg:vgg16_bn_imagenet",
            citation=_VGG,
            image_size=224,
            learning_rate=5e-4,
            imagenet="VGG16_BN_Weights",
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
        ModelInfo(
            name="resnet18",
            title="ResNet-18",
            description="torchvision's; up to 64² without its first two reductions; 11.2 M parameters.",
            impl="slimcast.models.resnet:resnet18",
            citation=_RESNET,
            learning_rate=1e-3,
            imagenet="ResNet18_Weights",
        ),
        ModelInfo(
            name="resnet34",
            title="ResNet-34",
            description="torchvision's; up to 64² without its first two reductions; 21.3 M parameters.",
            impl="slimcast.models.resnet:resnet34",
            citation=_RESNET,
            learning_rate=1e-3,
            imagenet="ResNet34_Weights",
        ),
        ModelInfo(
            name="resnet50",
            title="ResNet-50",
            description="Bottlenecks; up to 64² without its first two reductions; 23.5 M parameters.",
            impl="slimcast.models.resnet:resnet50",
            citation=_RESNET,
            learning_rate=1e-3,
            imagenet="ResNet50_Weights",
        ),
        ModelInfo(
            name="densenet40",
            title="DenseNet-40 (CIFAR)",
            description="Three blocks of twelve layers, growth 12; 1.0 M parameters.",
            impl="slimcast.models.densenet:densenet40",
            citation=_DENSENET,
        ),
        ModelInfo(
            name="densenet121",
            title="DenseNet-121",
            description="torchvision's; up to 64² without its first two reductions; 7.0 M parameters.",
            impl="slimcast.models.densenet:densenet121",
            citation=_DENSENET,
            learning_rate=1e-3,
            imagenet="DenseNet121_Weights",
        ),
    ],
)

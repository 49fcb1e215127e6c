"""VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556) for small images, and torchvision's for 224 pixels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.models.adapt import with_channels

# Outputs of the 3x3 convolutions, configuration D of the paper; 0 is a 2x2 max pooling.
_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
_HIDDEN = 512


class VGG16(nn.Module):
    """Input (N, C, S, S) with S >= 32 -> logits (N, K).

    The thirteen convolutions of VGG16 with torchvision's parameter names; behind them one hidden layer of 512
    instead of two of 4096, as in the CIFAR form that the pruning literature uses (15.0 M parameters).
    """

    def __init__(self, *, classes: int, channels: int, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for outputs in _LAYERS:
            if not outputs:
                layers.append(nn.MaxPool2d(2))
                continue
            layers.append(nn.Conv2d(width, outputs, 3, padding=1))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            width = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(width, _HIDDEN), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(_HIDDEN, classes)
        )
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = F.adaptive_avg_pool2d(self.features(x), 1)  # (N, 512, 1, 1)
        return self.classifier(torch.flatten(x, 1))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        # Without batch norm sixteen layers of the default initialization let the signal die.
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def vgg16(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build VGG16 without batch norm; any `image_size` from 32 pixels on fits the same weights."""
    return VGG16(classes=classes, channels=channels, batch_norm=False)


def vgg16_bn(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build VGG16 with a batch norm behind each convolution."""
    return VGG16(classes=classes, channels=channels, batch_norm=True)


def vgg16_imagenet(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build torchvision's VGG16; its pooling to 7x7 makes it fit any `image_size` from 32 pixels on."""
    from torchvision.models import vgg16 as build

    return with_channels(build(weights=None, num_classes=classes), channels)


def vgg16_bn_imagenet(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build torchvision's VGG16 with batch norm."""
    from torchvision.models import vgg16_bn as build

    return with_channels(build(weights=None, num_classes=classes), channels)

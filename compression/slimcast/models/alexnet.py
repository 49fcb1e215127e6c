"""AlexNet (Krizhevsky, Sutskever and Hinton 2012) for images of 32 pixels, and torchvision's for 224."""

import torch
from torch import Tensor, nn

from slimcast.models.adapt import with_channels

# (outputs, stride, whether a 2x2 pooling follows); kernels of 3x3 throughout
_LAYERS = ((64, 2, True), (192, 1, True), (384, 1, False), (256, 1, False), (256, 1, True))
_HIDDEN = 4096


class AlexNet(nn.Module):
    """Input (N, C, S, S) with S >= 32 -> logits (N, K).

    The five convolutions and three linear layers of the one-tower AlexNet with its widths (64, 192, 384, 256,
    256, 4096, 4096); kernels of 3x3 and pooling by 2 where the original has 11x11, 5x5 and pooling by 3, as
    is usual for CIFAR. S = 32 leaves a grid of 2x2.
    """

    def __init__(self, *, classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for outputs, stride, pooled in _LAYERS:
            layers += [nn.Conv2d(width, outputs, 3, stride, 1), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if pooled else []
            width = outputs
        self.features = nn.Sequential(*layers)
        side = ((image_size + 1) // 2) // 8
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(width * side * side, _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(_HIDDEN, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = torch.flatten(self.features(x), 1)  # (N, 256 * side * side)
        return self.classifier(x)


def alexnet(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build the form for small images with random weights."""
    return AlexNet(classes=classes, channels=channels, image_size=image_size)


def alexnet_imagenet(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build torchvision's AlexNet; its pooling to 6x6 makes it fit any `image_size` from 64 pixels on."""
    from torchvision.models import alexnet as build

    return with_channels(build(weights=None, num_classes=classes), channels)

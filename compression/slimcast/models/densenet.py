"""DenseNet-40 for CIFAR and DenseNet-121 (Huang et al. 2017, arXiv:1608.06993)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.models.adapt import SMALL_IMAGE, with_channels

_GROWTH = 12
_LAYERS = 12
_FIRST = 16


class DenseLayer(nn.Module):
    """Norm, ReLU and a 3x3 convolution; its outputs are appended to its inputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, _GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, inputs + growth, H, W)."""
        return torch.cat((x, self.conv(F.relu(self.norm(x)))), 1)


class Transition(nn.Module):
    """Norm, ReLU, a 1x1 convolution that keeps the width, and pooling by 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, width, H / 2, W / 2)."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2)


class DenseNet40(nn.Module):
    """Input (N, C, S, S) -> logits (N, K); three blocks of twelve layers, growth 12, no bottlenecks."""

    def __init__(self, *, classes: int, channels: int) -> None:
        super().__init__()
        width = _FIRST
        blocks: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
        for block in range(3):
            for _ in range(_LAYERS):
                blocks.append(DenseLayer(width))
                width += _GROWTH
            blocks += [Transition(width)] if block < 2 else []
        self.features = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = F.relu(self.norm(self.features(x)))  # (N, 448, S / 4, S / 4)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return self.classifier(x)


def densenet40(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build DenseNet-40 with random weights; any `image_size` fits the same ones."""
    return DenseNet40(classes=classes, channels=channels)


def densenet121(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build torchvision's DenseNet-121; up to 64 pixels without the two reductions at its beginning."""
    from torchvision.models import densenet121 as build

    model = with_channels(build(weights=None, num_classes=classes), channels)
    if image_size <= SMALL_IMAGE:
        model.get_submodule("features.conv0").stride = (1, 1)  # type: ignore[assignment]
        model.set_submodule("features.pool0", nn.Identity())
    return model

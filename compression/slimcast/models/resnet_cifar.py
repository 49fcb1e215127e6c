"""ResNet-20, 32 and 56 for CIFAR (He et al. 2016, arXiv:1512.03385, section 4.2), shortcuts of option A.

Parameter names are those of the widely used checkpoints of github.com/akamaster/pytorch_resnet_cifar10, which
`examples/convert_cifar_resnet.py` converts.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PaddingShortcut(nn.Conv2d):
    """Option A: every other pixel, and zeros for the channels that the input lacks, half on each side.

    Written as a 1x1 convolution whose weights are fixed to 0 and 1, (outputs, inputs, 1, 1). A pruner removes
    rows and columns of it as of any convolution, whichever channels go on either side, and what remains still
    copies each channel to its place; slicing and padding would need new numbers for every choice. Its weights
    are saved like others and never trained: each new weight tensor that a pruner sets is frozen again.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__(inputs, outputs, 1, stride, bias=False)
        first = (outputs - inputs) // 2
        with torch.no_grad():
            self.weight.zero_()
            self.weight[first : first + inputs, :, 0, 0] = torch.eye(inputs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Parameter):
            value.requires_grad_(False)
        super().__setattr__(name, value)


class Block(nn.Module):
    """Two 3x3 convolutions, added to the input or to its shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else PaddingShortcut(inputs, outputs, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class CifarResNet(nn.Module):
    """Input (N, C, S, S) -> logits (N, K); depth = 6 * blocks + 2, widths 16, 32 and 64."""

    def __init__(self, *, classes: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks=blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks=blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks=blocks, stride=2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and not isinstance(module, PaddingShortcut):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 16, S, S)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, S / 4, S / 4)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return self.linear(x)


def _stage(inputs: int, outputs: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = Block(inputs, outputs, stride=stride)
    return nn.Sequential(first, *[Block(outputs, outputs, stride=1) for _ in range(blocks - 1)])


def resnet20(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-20 with random weights; any `image_size` fits the same ones."""
    return CifarResNet(classes=classes, channels=channels, blocks=3)


def resnet32(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-32 with random weights."""
    return CifarResNet(classes=classes, channels=channels, blocks=5)


def resnet56(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-56 with random weights."""
    return CifarResNet(classes=classes, channels=channels, blocks=9)

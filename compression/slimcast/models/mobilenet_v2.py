"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), with the parameter names of torchvision's.

Written out here, so that a job need not import torchvision, which costs more than loading the whole network.
"""

from torch import Tensor, nn
from torch.nn import functional as F

# (expansion, channels, blocks, stride of the first block), table 2 of the paper
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_SMALL_IMAGE = 64


def _conv(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_conv(inputs, hidden, kernel=1))
        layers += [
            _conv(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.use_res_connect = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Input (N, C, S, S) -> logits (N, K).

    The last stride is left out for images up to 64 pixels, so that 32² still leaves a grid of 2x2.
    Leaving out
    the first one instead would cost four times the multiply-accumulates.
    """

    def __init__(self, *, classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        width = 32
        features: list[nn.Module] = [_conv(channels, width, stride=2)]
        for index, (expansion, outputs, blocks, first_stride) in enumerate(_STAGES):
            if index == 5 and image_size <= _SMALL_IMAGE:
                first_stride = 1
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                features.append(InvertedResidual(width, outputs, stride=stride, expansion=expansion))
                width = outputs
        features.append(_conv(width, 1280, kernel=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = self.features(x)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # (N, 1280)
        return self.classifier(x)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)


def mobilenet_v2(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build MobileNetV2 (width 1.0) with random weights."""
    return MobileNetV2(classes=classes, channels=channels, image_size=image_size)

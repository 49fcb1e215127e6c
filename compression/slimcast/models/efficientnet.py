"""EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946): torchvision's."""

from torch import nn

from slimcast.models.adapt import with_channels, without_last_stride


def efficientnet_b0(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build EfficientNet-B0 with random weights."""
    from torchvision.models import efficientnet_b0 as build

    model = build(weights=None, num_classes=classes)
    return without_last_stride(with_channels(model, channels), image_size)

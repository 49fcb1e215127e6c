"""MobileNetV3, small and large (Howard et al. 2019, arXiv:1905.02244): torchvision's."""

from torch import nn

from slimcast.models.adapt import with_channels, without_last_stride

_MOMENTUM = 0.1


def mobilenet_v3_small(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build MobileNetV3 small with random weights."""
    from torchvision.models import mobilenet_v3_small as build

    return _adapted(build(weights=None, num_classes=classes), channels, image_size)


def mobilenet_v3_large(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build MobileNetV3 large with random weights."""
    from torchvision.models import mobilenet_v3_large as build

    return _adapted(build(weights=None, num_classes=classes), channels, image_size)


def _adapted(model: nn.Module, channels: int, image_size: int) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # torchvision's 0.01 is meant for hundreds of epochs of ImageNet; after one epoch of a small set
            # the running statistics would still be a third of what they began with.
            module.momentum = _MOMENTUM
    return without_last_stride(with_channels(model, channels), image_size)

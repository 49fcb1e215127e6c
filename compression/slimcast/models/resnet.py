"""ResNet-18, 34 and 50 (He et al. 2016, arXiv:1512.03385): torchvision's, with a form for small images."""

from torch import nn

from slimcast.models.adapt import SMALL_IMAGE, with_channels


def resnet18(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-18 with random weights."""
    from torchvision.models import resnet18 as build

    return _adapted(build(weights=None, num_classes=classes), channels, image_size)


def resnet34(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-34 with random weights."""
    from torchvision.models import resnet34 as build

    return _adapted(build(weights=None, num_classes=classes), channels, image_size)


def resnet50(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build ResNet-50 with random weights."""
    from torchvision.models import resnet50 as build

    return _adapted(build(weights=None, num_classes=classes), channels, image_size)


def _adapted(model: nn.Module, channels: int, image_size: int) -> nn.Module:
    """Keep the full grid up to the second stage for images up to 64 pixels, as is usual for CIFAR."""
    with_channels(model, channels)
    if image_size <= SMALL_IMAGE:
        model.get_submodule("conv1").stride = (1, 1)  # type: ignore[assignment]
        model.set_submodule("maxpool", nn.Identity())
    return model

"""Bring a network that was written for 224 pixels and three channels to smaller or grey images.

Only strides and the first convolution's inputs change, no other shape: the weights of the large form fit.
"""

from torch import nn

SMALL_IMAGE = 64
"""Up to this side, in pixels, networks for 224 pixels skip some of their reductions."""


def with_channels(model: nn.Module, channels: int) -> nn.Module:
    """Give the first convolution `channels` inputs, with fresh weights if that changes it; in place."""
    name, first = first_convolution(model)
    if first.in_channels != channels:
        fresh = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            bias=first.bias is not None,
        )
        nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
        model.set_submodule(name, fresh)
    return model


def without_last_stride(model: nn.Module, image_size: int) -> nn.Module:
    """Let the last convolution with a stride keep its grid where images are small; in place.

    So 32 pixels still leave a grid of 2x2. Leaving out the first stride instead would cost four times the
    multiply-accumulates.
    """
    if image_size <= SMALL_IMAGE:
        strided = [m for m in model.modules() if isinstance(m, nn.Conv2d) and max(m.stride) > 1]
        strided[-1].stride = (1, 1)
    return model


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv2d]:
    """Return the convolution that reads the image, and its name."""
    return next((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d))

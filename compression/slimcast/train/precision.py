"""Which number format and memory layout train a network fastest on this machine.

A rule rather than a stop watch: on a busy machine a probe decides differently from run to run, and then the
same recipe no longer gives the same artifact. Measured on two AVX512 cores: bfloat16 with channels_last more
than doubles dense networks and makes depthwise ones nearly three times slower; small networks gain nothing.
"""

from dataclasses import dataclass

import torch
from torch import nn

SMALL_MACS = 2_000_000
"""Multiply-accumulates of an image below which there is nothing to gain; LeNet-5 has 0.4 million."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """`bfloat16`: run the forward pass under autocast. `channels_last`: memory layout of the convolutions."""

    bfloat16: bool
    channels_last: bool

    def describe(self) -> str:
        """Say it in a few words."""
        numbers = "bfloat16 autocast" if self.bfloat16 else "float32"
        return f"{numbers}, channels last" if self.channels_last else numbers


def choose(model: nn.Module, device: torch.device, *, macs: int) -> Precision:
    """Return the format and layout for a network of `macs` multiply-accumulates an image, by rule."""
    if device.type == "cpu" and macs < SMALL_MACS:
        return Precision(bfloat16=False, channels_last=False)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    depthwise = any(m.groups > 1 and m.groups == m.in_channels for m in convolutions)
    if device.type == "cuda":
        return Precision(bfloat16=torch.cuda.is_bf16_supported(), channels_last=True)
    return Precision(bfloat16=not depthwise and _cpu_has_bfloat16(), channels_last=bool(convolutions))


def _cpu_has_bfloat16() -> bool:
    capability = torch.backends.cpu.get_cpu_capability()
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe is not None else capability == "AVX512"

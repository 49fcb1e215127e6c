"""What is used of optimum-quanto, imported in one place.

Its import makes torch tell on stderr which CUDA it did not find; on a machine without a GPU nobody asked.

On a processor it would compile an extension into its own package when 4 or 2 bits are first unpacked. That
takes a compiler, the right to write there and most of a minute; what takes its place is fast enough here.
"""

import logging
from types import SimpleNamespace

import torch

_torch_log = logging.getLogger("torch.utils.cpp_extension")
_level = _torch_log.level
_torch_log.setLevel(logging.ERROR)
try:
    from optimum.quanto import (
        AbsmaxOptimizer,
        Calibration,
        Optimizer,
        QConv2d,
        QLinear,
        QModuleMixin,
        QTensor,
        WeightQBitsTensor,
        WeightQBytesTensor,
        qtype,
        qtypes,
    )
    from optimum.quanto.library.extensions import get_extension
finally:
    _torch_log.setLevel(_level)


def _unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the numbers of so many bits that bytes hold, the lowest bits first along dimension 0."""
    return torch.cat([(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)])


get_extension("quanto_cpp")._lib = SimpleNamespace(unpack=_unpack)

__all__ = [
    "AbsmaxOptimizer",
    "Calibration",
    "Optimizer",
    "QConv2d",
    "QLinear",
    "QModuleMixin",
    "QTensor",
    "WeightQBitsTensor",
    "WeightQBytesTensor",
    "qtype",
    "qtypes",
]

"""What is used of optimum-quanto, imported in one place.

Its import makes torch tell on stderr which CUDA it did not find; on a machine without a GPU nobody asked.
"""

import logging

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
finally:
    _torch_log.setLevel(_level)

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

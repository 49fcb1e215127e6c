"""What is used of torchao's PT2E, imported without its noise: it takes seconds, and warns of itself."""

import logging
import warnings

_before = logging.root.manager.disable
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        from torchao.quantization.pt2e import FusedMovingAvgObsFakeQuantize, MovingAverageMinMaxObserver
        from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
        from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer
finally:
    logging.disable(_before)

__all__ = [
    "FakeQuantizeBase",
    "FusedMovingAvgObsFakeQuantize",
    "MovingAverageMinMaxObserver",
    "QuantizationAnnotation",
    "QuantizationSpec",
    "Quantizer",
    "prepare_qat_pt2e",
]

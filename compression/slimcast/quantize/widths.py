"""What each layer alone does to the answers at each width of its weights, all others in float.

As in Dong et al., HAWQ-V2, NeurIPS 2020 (arXiv:1911.03852), each layer is judged alone and the errors are
added up; what is added here is the measured square error of the logits and not a product with the Hessian.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.models.layers import Weighted, check_patterns, matches, weighted_layers
from slimcast.models.quanto import FORMATS, can_be_low_bit, freeze
from slimcast.models.quanto_library import qtypes
from slimcast.quantize.quanto import check_weights, scale_group, with_formats
from slimcast.reporting import Reporter

FLOAT = "float"
_FLOAT_BITS, _SCALE_BYTES = 32, 4
Answers = Callable[[nn.Module], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class WidthError:
    """One layer at one width.

    Attributes:
        layer: its name. width: ``float``, or a name of `slimcast.models.quanto.FORMATS`.
        size_bytes: of its weights and their scales, packed.
        error: root mean square of what the logits move, as a share of their standard deviation.
        same: share of the images whose answer stays the same, 0..1.
    """

    layer: str
    width: str
    size_bytes: int
    error: float
    same: float


def width_errors(
    model: nn.Module,
    widths: Sequence[str],
    *,
    keep: Sequence[str],
    activations: str,
    answers: Answers,
    reporter: Reporter,
) -> list[WidthError]:
    """Return the error of each layer at each width, in the order of the network.

    Args:
        model: in float; is left as it is.
        widths: what is tried.
        keep: name patterns of layers that stay in float, and are not tried.
        activations: ``int8`` where integer kernels will read the weights, a scale for each channel; else "".
        answers: returns the logits of a network, (N, K), always on the same images.

    Raises:
        StepError: a weight is no number, a pattern fits no layer, or no layer is left.
        Cancelled: somebody cancelled the run.
    """
    layers = _candidates(model, keep)
    wanted = answers(model)
    deviation = max(float(wanted.std()), 1e-12)
    found = []
    for index, (name, layer) in enumerate(layers.items()):
        for width in widths:
            reporter.check_cancelled()
            reporter.progress(index / len(layers), f"Trying {name} in {width}")
            size_bytes = bytes_at(layer.weight, width, activations)
            if width == FLOAT:
                found.append(WidthError(layer=name, width=width, size_bytes=size_bytes, error=0.0, same=1.0))
                continue
            # Its activations stay in float until they are calibrated: what counts is what the weights lose.
            alone = with_formats(model, {name: width}, activations)
            freeze(alone)
            logits = answers(alone)
            found.append(
                WidthError(
                    layer=name,
                    width=width,
                    size_bytes=size_bytes,
                    error=float(np.sqrt(np.mean((logits - wanted) ** 2))) / deviation,
                    same=float((logits.argmax(1) == wanted.argmax(1)).mean()),
                )
            )
    return found


def bytes_at(weight: Tensor, width: str, activations: str) -> int:
    """Return what a layer's weights and scales take in the file, bytes."""
    if width == FLOAT:
        return weight.numel() * _FLOAT_BITS // 8
    group = scale_group(weight, width, activations)
    scales = weight.numel() // group if group else len(weight)
    return -(-weight.numel() * int(qtypes[FORMATS[width]].bits) // 8) + scales * _SCALE_BYTES


def _candidates(model: nn.Module, keep: Sequence[str]) -> dict[str, Weighted]:
    layers = weighted_layers(model)
    check_weights(model)
    check_patterns(keep, layers, "keep")
    found = {n: layer for n, layer in layers.items() if can_be_low_bit(layer) and not matches(n, keep)}
    if not found:
        raise StepError(
            f"Nothing to quantize: all {len(layers)} layers stay in float, by 'keep' or kind. Name fewer "
            "layers in keep."
        )
    return found

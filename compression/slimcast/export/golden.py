"""Golden samples: a few real images with the answers that a healthy artifact gives to them."""

import numpy as np
import onnxruntime

from slimcast.errors import StepError
from slimcast.timing import batch_time
from slimcast_edge.artifact import INPUT_NAME, OUTPUT_NAME, Golden, GoldenSample, NumericKind
from slimcast_edge.runtime.onnx import session_options
from slimcast_edge.runtime.providers import CPU

COUNT = 4
_PROBED = 64
_SAFETY = 4.0
_FLOAT_TOLERANCE = 1e-3  # of the logits' range: other kernels sum in another order
_INT8_TOLERANCE = 0.05  # of the logits' range, at least: about six steps of an eight-bit output
_INTEGER_KINDS = {NumericKind.INT8, NumericKind.BINARY}
_SHARE = 1 / 16  # of the artifact, for the samples' images; but two of them at least
_FEWEST = 2
_WEIGHED = 200  # clear cases whose images' sizes are compared


def choose_golden(
    content: bytes, images: np.ndarray, labels: np.ndarray, logits: np.ndarray, kind: NumericKind
) -> Golden:
    """Choose samples and tolerance.

    The tolerance must let the same file pass on another processor, and refuse another file. Integer
    kernels of
    different processors round differently, by a step here and there. How much that moves the logits of *this*
    network is measured: its integer kernels against the same file with all optimizations off, which
    computes in
    float between the roundings. Four times the largest such difference is allowed, and at least a
    twentieth of the
    logits' range. Another network, or a damaged one, is off by a good part of that range on at least
    one of forty
    logits. The clients also ask for the same top answer, so samples are taken where that is clear.

    Args:
        content: the artifact, of which `logits` are the answers.
        images: held-out images, uint8 (N, H, W, C), with labels (N,) and logits (N, K).

    Raises:
        StepError: the answers tell nothing: no image is right, or all logits are alike.
    """
    probed = images[:_PROBED]
    plain = _unoptimized_logits(content, probed)
    spread = float(np.ptp(logits[:_PROBED]))
    moved = float(np.abs(plain - logits[:_PROBED]).max())
    share = _INT8_TOLERANCE if kind in _INTEGER_KINDS else _FLOAT_TOLERANCE
    tolerance = float(f"{max(_SAFETY * moved, share * spread):.4g}")
    chosen = _small_ones(images, labels, _clear_cases(labels, logits, tolerance), len(content) * _SHARE)
    golden = Golden(
        samples=[GoldenSample.from_pixels(images[i], logits[i]) for i in chosen], tolerance=tolerance
    )
    difference = (
        float(np.abs(logits[chosen] - logits[np.roll(chosen, 1)]).max()) if len(chosen) > 1 else spread
    )
    if difference <= tolerance:
        raise StepError(
            f"The artifact's answers are too much alike to tell it from a broken one: logits differ by "
            f"{difference:.3g}, rounding alone by {moved:.3g}. The network is hardly trained, or "
            "collapsed when it was quantized."
        )
    return golden


def _clear_cases(labels: np.ndarray, logits: np.ndarray, tolerance: float) -> np.ndarray:
    """Return indices of right and clear answers, or of the clearest ones where none is clear."""
    ordered = np.sort(logits, 1)
    margin = ordered[:, -1] - ordered[:, -2]
    right = logits.argmax(1) == labels
    candidates = np.flatnonzero(right & (margin > 2 * tolerance))
    if not len(candidates):
        candidates = np.argsort(-np.where(right, margin, -np.inf))[:COUNT]
        if not right[candidates[0]]:
            raise StepError(
                "The artifact gives no right answer on the held-out images: there is nothing to check."
            )
    return candidates[right[candidates]]


def _small_ones(images: np.ndarray, labels: np.ndarray, candidates: np.ndarray, most: float) -> np.ndarray:
    """Return the first candidates of different classes; where they take more bytes than `most`, small ones.

    Beside weights of one bit, four photographs of 32 x 32 pixels would be a fifth of the file.
    """
    chosen = _of_different_classes(labels, candidates)
    sizes = [_size(images[index]) for index in chosen]
    if sum(sizes) <= most or len(chosen) <= _FEWEST:
        return chosen
    weighed = candidates[:_WEIGHED]
    size_of = {int(index): _size(images[index]) for index in weighed}
    chosen = _of_different_classes(labels, np.asarray(sorted(size_of, key=size_of.__getitem__)))
    while len(chosen) > _FEWEST and sum(size_of[int(index)] for index in chosen) > most:
        chosen = chosen[:-1]
    return chosen


def _of_different_classes(labels: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    chosen: dict[int, int] = {}
    for index in candidates:
        chosen.setdefault(int(labels[index]), int(index))
        if len(chosen) == COUNT:
            break
    return np.asarray(list(chosen.values()))


def _size(pixels: np.ndarray) -> int:
    """Return how many bytes an image, uint8 (H, W, C), takes in a description."""
    return len(GoldenSample.from_pixels(pixels, np.zeros(1)).image)


def _unoptimized_logits(content: bytes, images: np.ndarray) -> np.ndarray:
    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options, providers=[CPU])
    with batch_time():
        logits: np.ndarray = session.run([OUTPUT_NAME], {INPUT_NAME: np.ascontiguousarray(images)})[0]
    return logits

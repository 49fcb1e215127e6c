"""Run a graph on images, one thread, as all methods do that compare answers."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime

from slimcast.timing import batch_time
from slimcast_edge.artifact import INPUT_NAME
from slimcast_edge.runtime.onnx import session_options
from slimcast_edge.runtime.providers import CPU

_BATCH = 32


def logits_of(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """Return the answers to images, uint8 (N, H, W, C) -> float32 (N, K)."""
    session = _session(model)
    with batch_time():
        parts = [
            session.run(None, {INPUT_NAME: images[i : i + _BATCH]})[0] for i in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


def values_of(model: onnx.ModelProto, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Return values inside the graph for all images at once, by their names."""
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    known = {item.name for item in open_model.graph.output}
    for name in names:
        if name not in known:
            open_model.graph.output.append(onnx.ValueInfoProto(name=name))
    with batch_time():
        found = _session(open_model).run(list(names), {INPUT_NAME: images})
    return dict(zip(names, found, strict=True))


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), session_options(1), providers=[CPU])

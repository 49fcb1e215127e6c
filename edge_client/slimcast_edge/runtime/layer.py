"""Runs one layer alone in ONNX Runtime, and asks the runtime's own profiler how long its kernels took."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from slimcast_edge.errors import RuntimeFailure
from slimcast_edge.runtime.onnx import session_options
from slimcast_edge.runtime.providers import CPU

_WARM_UP = 3
# Between two layers of a network these are not there: neighbours hand on the layout that their kernels want.
_LAYOUT = {"ReorderInput", "ReorderOutput", "Transpose"}
_KERNEL = "_kernel_time"
_TRUNCATED_US = 0.5
"""The profiler cuts times down to whole microseconds: this much is missing on average."""


def kernel_times_ms(graph: bytes, *, threads: int, beside_bytes: int, runs: int) -> np.ndarray:
    """Return how long the kernels of a graph took in each of `runs` executions, ms, (runs,).

    Args:
        graph: ONNX with one input of a fixed shape, float32 or uint8.
        threads: threads that compute.
        beside_bytes: so much other memory is read before each run, which leaves the caches as a network of
            that size does.
        runs: executions that count; some more come before them.

    Raises:
        RuntimeFailure: the runtime cannot open or run the graph.

    """
    with tempfile.TemporaryDirectory(prefix="slimcast-") as folder:
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "layer")
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=[CPU])
            feed = {item.name: _noise(item) for item in session.get_inputs()}
            others = np.ones(beside_bytes // 8)
            for _ in range(_WARM_UP + runs):
                others.sum()
                session.run(None, feed)
            profile = Path(session.end_profiling()).read_text()
        except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
            raise RuntimeFailure(f"ONNX Runtime cannot run a layer: {error}") from error
    return np.asarray(_sums(json.loads(profile))[_WARM_UP:])


def _noise(item: Any) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, item.shape, dtype=np.uint8)
    return values if item.type == "tensor(uint8)" else (values / 255).astype(np.float32)


def _sums(events: list[dict[str, Any]]) -> list[float]:
    """Return the kernels' time of each run, ms; the profiler writes a run's kernels before its end."""
    sums, total = [], 0.0
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            if event["args"].get("op_name") not in _LAYOUT:
                total += event["dur"] + _TRUNCATED_US
        elif event.get("name") == "model_run":
            sums.append(total / 1e3)
            total = 0.0
    return sums

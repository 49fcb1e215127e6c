"""Asks ONNX Runtime's own profiler how long kernels take: those of one layer alone, or of a whole network."""

import itertools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from slimcast_edge.artifact import INPUT_NAME, NumericKind
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
    others = np.ones(beside_bytes // 8)
    profile = _profile(
        graph,
        session_options(threads),
        lambda inputs: {item.name: _noise(item) for item in inputs},
        _WARM_UP + runs,
        what="a layer",
        before=others.sum,
    )
    sums = [sum(_time_ms(kernel) for kernel in run if _op(kernel) not in _LAYOUT) for run in profile]
    return np.asarray(sums[_WARM_UP:])


@dataclass(frozen=True, kw_only=True)
class KernelTimes:
    """One kernel of a network: its node, as the runtime calls it, its operator, and its times, ms.

    Attributes:
        times_ms: of each execution of the network, (runs,).

    """

    name: str
    operator: str
    times_ms: np.ndarray


def network_kernels(
    model: bytes, kind: NumericKind, images: np.ndarray, *, threads: int, runs: int
) -> list[KernelTimes]:
    """Return how long each kernel of an artifact takes, batch 1, in the order in which they run.

    Args:
        model: an artifact that has been checked. kind: of its numbers.
        images: uint8 (n, H, W, C), used in turn.
        threads: threads that compute.
        runs: executions that count; some more come before them.

    Raises:
        RuntimeFailure: the runtime cannot open or run it.

    """
    feeds = itertools.cycle([np.ascontiguousarray(images[i : i + 1]) for i in range(len(images))])
    profile = _profile(
        model,
        session_options(threads, kind),
        lambda _inputs: {INPUT_NAME: next(feeds)},
        _WARM_UP + runs,
        what="this network with its profiler",
    )[_WARM_UP:]
    names = [(_name(kernel), _op(kernel)) for kernel in profile[0]] if profile else []
    times = {key: [0.0] * len(profile) for key in dict.fromkeys(names)}
    for number, run in enumerate(profile):
        for kernel in run:
            times[_name(kernel), _op(kernel)][number] += _time_ms(kernel)
    return [
        KernelTimes(name=name, operator=operator, times_ms=np.asarray(values))
        for (name, operator), values in times.items()
    ]


def _profile(
    model: bytes,
    options: Any,
    feed: Callable[[list[Any]], dict[str, np.ndarray]],
    runs: int,
    *,
    what: str,
    before: Callable[[], object] = lambda: None,
) -> list[list[dict[str, Any]]]:
    """Return the kernels of each run, as the profiler noted them; `before` is called before each."""
    with tempfile.TemporaryDirectory(prefix="slimcast-") as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[CPU])
            for _ in range(runs):
                before()
                session.run(None, feed(session.get_inputs()))
            profile = Path(session.end_profiling()).read_text()
        except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
            raise RuntimeFailure(f"ONNX Runtime cannot run {what}: {error}") from error
    return _by_run(json.loads(profile))


def _by_run(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the kernels of each run; the profiler writes a run's kernels before its end."""
    found: list[list[dict[str, Any]]] = []
    kernels: list[dict[str, Any]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            kernels.append(event)
        elif event.get("name") == "model_run":
            found.append(kernels)
            kernels = []
    return found


def _name(kernel: dict[str, Any]) -> str:
    return str(kernel["name"]).removesuffix(_KERNEL)


def _op(kernel: dict[str, Any]) -> str:
    return str(kernel["args"].get("op_name", ""))


def _time_ms(kernel: dict[str, Any]) -> float:
    return float(kernel["dur"] + _TRUNCATED_US) / 1e3


def _noise(item: Any) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, item.shape, dtype=np.uint8)
    return values if item.type == "tensor(uint8)" else (values / 255).astype(np.float32)

"""Measures latency: the one way in which Slimcast does, on the server and on the device alike."""

import math
import os
import platform
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slimcast_edge.runtime import Runtime, open_runtime
from slimcast_edge.runtime.layer import kernel_times_ms, network_kernels

_PROFILER_MS = 0.005  # more than the profiler takes for a kernel of few inputs on an ordinary processor
_OWN_LOAD = 1.0  # processors that this process may have kept busy itself, beside those that it trains on


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time of one execution with a batch of one, ms, over `runs` executions.

    Attributes:
        slowdown: median of the last quarter of them over that of the first: above 1 where a processor gets
            hot and slower.

    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    runs: int
    slowdown: float = 1.0


def measure_latency(
    runtime: Runtime,
    images: np.ndarray | None = None,
    *,
    seconds: float = 1.0,
    warmup: int = 5,
    min_runs: int = 30,
) -> Latency:
    """Run images one at a time and time each.

    Args:
        runtime: an opened model.
        images: uint8 (n, H, W, C), used in turn; None: noise, which takes as long.
        seconds: how long to measure.
        warmup: executions before that, not counted.
        min_runs: executions to count at least, however long they take.

    Raises:
        RuntimeFailure: the model fails.

    """
    batch = noise(runtime) if images is None else images
    batches = [np.ascontiguousarray(batch[i : i + 1]) for i in range(len(batch))]
    for i in range(warmup):
        runtime.run(batches[i % len(batches)])
    times_ns: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while len(times_ns) < min_runs or time.perf_counter_ns() < end:
        image = batches[len(times_ns) % len(batches)]
        start = time.perf_counter_ns()
        runtime.run(image)
        times_ns.append(time.perf_counter_ns() - start)
    return _summary(np.asarray(times_ns) / 1e6)


@dataclass(frozen=True, kw_only=True)
class NetworkTime:
    """A whole network and its kernels, batch 1.

    Attributes:
        whole_ms: median time of one execution without the profiler.
        kernels: (node's name, operator, median time in ms) in the order in which they run; the profiler's own
            time is taken off, as far as it is known.
        runs: executions behind each of these medians.

    """

    whole_ms: float
    kernels: tuple[tuple[str, str, float], ...]
    runs: int


def measure_kernels(model: bytes, *, threads: int = 1, runs: int = 60, bursts: int = 3) -> NetworkTime:
    """Time a network as a whole and, executed again with the runtime's profiler, each of its kernels.

    Both are measured by turns, and of several bursts the fastest counts: what else runs on a machine only
    adds time. The profiler adds some microseconds to each kernel. What the fastest kernel of the network took
    is taken off all of them: each network has one that hardly does anything, such as a Flatten.

    Raises:
        ArtifactError, RuntimeFailure: it cannot be opened or run.

    """
    runtime = open_runtime(model, threads=threads)
    images, kind = noise(runtime), runtime.info.numeric_kind
    whole_ms, fastest = float("inf"), None
    for _ in range(bursts):
        whole_ms = min(whole_ms, measure_latency(runtime, seconds=0.3).p50_ms)
        kernels = network_kernels(model, kind, images, threads=threads, runs=runs)
        medians = [(one.name, one.operator, float(np.median(one.times_ms))) for one in kernels]
        if fastest is None or sum(ms for *_, ms in medians) < sum(ms for *_, ms in fastest):
            fastest = medians
    assert fastest is not None
    off_ms = min(_PROFILER_MS, min((ms for *_, ms in fastest), default=0.0))
    return NetworkTime(
        whole_ms=whole_ms,
        kernels=tuple((name, operator, ms - off_ms) for name, operator, ms in fastest),
        runs=runs,
    )


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """Time of one layer's kernels with a batch of one, ms: mean over the middle half of `runs` executions.

    The mean of the middle half is as deaf to disturbances as the median, and finer than the whole
    microseconds that the profiler counts in.
    """

    ms: float
    runs: int


def measure_layer(
    graph: bytes, *, threads: int = 1, beside_bytes: int = 0, runs: int = 20, bursts: int = 3
) -> LayerTime:
    """Time one layer by its kernels alone: no call, no conversion of the layout at its ends.

    Of several bursts the fastest counts: what else runs on a machine only adds time.

    Args:
        graph: ONNX with one input of a fixed shape, float32 or uint8; only stock operators.
        threads: threads that compute.
        beside_bytes: so much other memory is read before each run. In a network the other layers' weights
            push a layer's own out of the caches; alone in a loop it would find them there, and look up to
            three times as fast.
        runs: executions that count in each burst.
        bursts: how often to measure.

    Raises:
        RuntimeFailure: the runtime cannot run the graph.

    """
    times = kernel_times_ms(graph, threads=threads, beside_bytes=beside_bytes, runs=runs * bursts)
    middle = np.sort(times.reshape(bursts, runs))[:, runs // 4 : runs - runs // 4]  # (bursts, about runs / 2)
    return LayerTime(ms=float(middle.mean(axis=1).min()), runs=runs)


def _summary(times_ms: np.ndarray) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(times_ms, (50, 90, 99)))
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=float(times_ms.mean()),
        std_ms=float(times_ms.std()),
        runs=len(times_ms),
        slowdown=_slowdown(times_ms),
    )


def _slowdown(times_ms: np.ndarray) -> float:
    quarter = max(1, len(times_ms) // 4)
    first = float(np.median(times_ms[:quarter]))
    return float(np.median(times_ms[-quarter:])) / first if first > 0 else 1.0


def noise(runtime: Runtime, count: int = 4) -> np.ndarray:
    """Return random images that fit the model, uint8 (count, H, W, C); always the same ones."""
    size = runtime.info.input
    shape = (count, size.height, size.width, size.channels)
    # Not NumPy's generators: loading them takes 7 MB, which the client has no other use for.
    values = bytearray(random.Random(0).randbytes(math.prod(shape)))
    return np.frombuffer(values, np.uint8).reshape(shape)


def describe_machine() -> str:
    """Return what a figure was measured on, such as ``Raspberry Pi 5 Model B, 4 cores, Linux aarch64``."""
    return f"{hardware()}, {cores()} cores, {platform.system()} {platform.machine()}"


def hardware() -> str:
    """Return the board's name, else the processor's."""
    board = _read("/proc/device-tree/model").rstrip("\0 \n")
    if board:
        return board
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown processor"


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Return how many processes wanted to compute at once over the last minute; 0 where nobody says."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def is_busy() -> bool:
    """Return whether others than this process compute here: what is measured then is too slow."""
    return load() > cores() + _OWN_LOAD


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""

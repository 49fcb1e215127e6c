"""What each layer of a job's network costs: counted, or looked up in a table of measured latencies."""

import platform
from functools import cache

import onnxruntime
from torch import nn

from slimcast.export.layer import write_layer
from slimcast.measure.clock import DeviceClock
from slimcast.measure.cost import count_parameters
from slimcast.measure.latency_table import Conditions, LatencyTable, beside
from slimcast.measure.layers import LayerShape
from slimcast.measure.trace import layers_of
from slimcast.pipeline.job import Job
from slimcast.prune.narrow import LayerCost
from slimcast.reporting import Reporter
from slimcast_edge.bench import LayerTime, describe_machine, is_busy, measure_layer

_THREADS = 1
_BYTES = {"float32": 4, "int8": 1}
_BYTES_PER_OUTPUT = {"float32": 4, "int8": 4 + 4 + 1 + 4 + 4}
"""A bias; in int8 also the scale and zero point of weights and bias."""


def layer_cost(
    job: Job,
    model: nn.Module,
    budget: str,
    numbers: str,
    reporter: Reporter,
    clock: DeviceClock | None = None,
) -> LayerCost:
    """Return (name, shape) -> cost of a layer.

    Args:
        job: the run.
        model: the network before it is cut.
        budget: ``macs``, ``size_bytes`` or ``latency_ms``.
        numbers: ``float32`` or ``int8``: of which artifact bytes and latency are.
        reporter: is asked for cancellation before each measurement.
        clock: the device whose latency counts; None: this machine.
    """
    if budget == "macs":
        return lambda _name, shape: shape.macs
    # The first convolution stays in float, see `slimcast.quantize.static`.
    first = next(iter(layers_of(model, job.example)))

    def stored(name: str) -> str:
        return "float32" if name == first else numbers

    if budget == "size_bytes":
        return lambda name, shape: _bytes(shape, stored(name))
    network_bytes = count_parameters(model) * _BYTES[numbers]
    tables = {
        kind: latency_table(job, kind, beside_bytes=beside(network_bytes), reporter=reporter, clock=clock)
        for kind in {"float32", numbers}
    }
    return cache(lambda name, shape: tables[stored(name)].latency_ms(shape))


def latency_table(
    job: Job, numbers: str, *, beside_bytes: int, reporter: Reporter, clock: DeviceClock | None = None
) -> LatencyTable:
    """Open the table of this machine, or of a device; what it lacks is measured when it is asked for."""

    def measure(layer: LayerShape) -> LayerTime:
        reporter.check_cancelled()
        graph = write_layer(layer, numbers)
        if clock is not None:
            return clock.layer(graph, beside_bytes=beside_bytes)
        return measure_layer(graph, threads=_THREADS, beside_bytes=beside_bytes)

    def disturbed() -> bool:
        return clock.disturbed if clock is not None else is_busy()

    conditions = Conditions(
        machine=clock.machine if clock is not None else f"{platform.node()}: {describe_machine()}",
        runtime=clock.runtime if clock is not None else f"onnxruntime {onnxruntime.__version__}",
        threads=clock.threads if clock is not None else _THREADS,
        numbers=numbers,
        beside_bytes=beside_bytes,
    )
    folder = job.cache_folder / "latency" if job.cache_folder else None
    return LatencyTable(conditions, measure=measure, folder=folder, disturbed=disturbed)


def _bytes(shape: LayerShape, numbers: str) -> int:
    return shape.weights * _BYTES[numbers] + shape.outputs * _BYTES_PER_OUTPUT[numbers]

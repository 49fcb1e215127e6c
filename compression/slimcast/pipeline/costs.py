"""What a network would cost as this job's artifact, for steps that work towards a budget.

MACs and parameters are counted; bytes and latency are those of the exported file, opened and timed by the
camera's own code. Candidates are timed in this process, without the start of a fresh one: no training runs
beside them. What a finished step states is measured in a fresh process all the same.
"""

from collections.abc import Callable

import numpy as np
import onnx
from torch import nn

from slimcast.export.artifact import pack
from slimcast.measure.clock import DeviceClock
from slimcast.measure.cost import PARAMS, Cost, macs_cost
from slimcast.pipeline.drafts import Draft, float_graph, input_of
from slimcast.pipeline.job import Job
from slimcast.quantize.static import MINMAX, StaticPlan, quantize
from slimcast.reporting import Reporter, SilentReporter
from slimcast_edge.artifact import ArtifactInfo, GoldenSample, NumericKind
from slimcast_edge.bench import Latency, measure_latency
from slimcast_edge.runtime import open_runtime

_SECONDS = 0.2
_BURSTS = 3
_GOLDEN = 4
_GOLDEN_LOOKED_AT = 64
_DESCRIPTION_BYTES = 600  # accuracy and counts, which a draft lacks
_CALIBRATION_SAMPLES = 16  # the ranges decide on accuracy, not on what a network costs


def costs_of(job: Job, numbers: str = "float32", *, reporter: Reporter | None = None) -> dict[str, Cost]:
    """Return the costs that a budget can be set in, by name: macs, params, size_bytes, latency_ms.

    Args:
        numbers: ``float32`` or ``int8``: of which artifact bytes and latency are.
        reporter: asked for cancellation between two measurements.
    """
    reporter = reporter or SilentReporter()

    def checked(of: Callable[[nn.Module], float]) -> Callable[[nn.Module], float]:
        def run(model: nn.Module) -> float:
            reporter.check_cancelled()
            return of(model)

        return run

    return {
        "macs": macs_cost(job.example),
        "params": PARAMS,
        "size_bytes": Cost(
            name="size_bytes",
            unit="B",
            of=checked(lambda model: len(draft_artifact(job, model, numbers)) + _rest_of_the_file(job)),
        ),
        "latency_ms": Cost(
            name="latency_ms",
            unit="ms",
            of=checked(lambda model: latency_of(job, model, numbers).p50_ms),
            exact=False,
        ),
    }


def device_latency(job: Job, numbers: str, clock: DeviceClock, *, reporter: Reporter) -> Cost:
    """Return the cost of a network on a device: exported, sent there and timed, batch 1."""

    def measure(model: nn.Module) -> float:
        reporter.check_cancelled()
        return clock.model_ms(draft_artifact(job, model, numbers), f"{job.recipe.name}/draft")

    return Cost(name="latency_ms", unit="ms", of=measure, exact=False)


def latency_of(job: Job, model: nn.Module, numbers: str = "float32", *, seconds: float = _SECONDS) -> Latency:
    """Export a network and time it in this process: batch 1, one thread, the camera's runtime.

    Of three bursts of `seconds` each, the one with the smallest median counts: what else runs on a machine
    only adds time.

    Raises:
        ModelError: the network does something that cannot be exported.
        StepError: it cannot be quantized.
        RuntimeFailure: the runtime cannot run it.
    """
    runtime = open_runtime(draft_artifact(job, model, numbers), threads=1)
    try:
        bursts = [measure_latency(runtime, seconds=seconds) for _ in range(_BURSTS)]
    finally:
        runtime.close()
    return min(bursts, key=lambda latency: latency.p50_ms)


def draft_artifact(job: Job, model: nn.Module, numbers: str = "float32") -> bytes:
    """Return the file that the network would travel as, without golden samples (some kilobytes).

    For ``int8`` it is calibrated on a few images: good for counting bytes and time, not for its answers.
    """
    graph = float_graph(job, model)
    if numbers == NumericKind.INT8:
        chosen = np.arange(min(_CALIBRATION_SAMPLES, len(job.data.train_labels)))
        graph = quantize(
            graph,
            job.data.train_images[chosen],
            StaticPlan(samples=_CALIBRATION_SAMPLES, ranges=(MINMAX,)),
            reporter=SilentReporter(),
        )
    return _packed(job, graph, NumericKind(numbers))


def file_bytes(job: Job, draft: Draft) -> int:
    """Return about how many bytes the artifact of a draft will have."""
    return len(_packed(job, draft.graph, draft.kind)) + _rest_of_the_file(job)


def _packed(job: Job, graph: onnx.ModelProto, kind: NumericKind) -> bytes:
    info = ArtifactInfo(
        name=f"{job.recipe.name}/draft",
        labels=list(job.data.labels),
        input=input_of(job),
        numeric_kind=kind,
        opset=graph.opset_import[0].version,
        recipe_hash=job.recipe.hash,
    )
    return pack(graph, info)


def _rest_of_the_file(job: Job) -> int:
    """Return about how many bytes a finished artifact has beside a draft's: golden samples, a few figures."""
    answers = np.full(job.network.classes, -1.234567e-3)
    images = job.data.test_images[:_GOLDEN_LOOKED_AT]
    samples = [GoldenSample.from_pixels(image, answers) for image in images]
    largest = sorted((len(sample.model_dump_json()) for sample in samples), reverse=True)[:_GOLDEN]
    return sum(largest) + _DESCRIPTION_BYTES

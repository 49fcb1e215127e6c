"""From a device's figures to rows of the store."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from slimcast.fleet.measuring import Assignment
from slimcast.records import Benchmark
from slimcast.store import Store
from slimcast_edge.wire import Measured


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """How to measure.

    Attributes:
        seconds: for each model. threads: None: the device's own setting.
        pause: whether the camera's frames go unclassified meanwhile.
        timeout_s: for download and measurement together.

    """

    seconds: float = 2.0
    threads: int | None = None
    pause: bool = False
    timeout_s: float = 300.0


class Measures(Protocol):
    """What is asked of the hub."""

    def measure(self, device: str, what: Assignment, timeout_s: float) -> Measured:
        """Have a device measure something."""


def measure_models(
    hub: Measures, store: Store, device: str, models: Sequence[tuple[str, str]], plan: BenchmarkPlan
) -> list[Benchmark]:
    """Have a device measure artifacts, (sha256, name) each, keep the figures, and return them.

    Raises:
        FleetError: the device cannot do it. StoreError: an artifact is gone, or the figures cannot be kept.

    """
    what = Assignment(models=tuple(models), seconds=plan.seconds, threads=plan.threads, pause=plan.pause)
    measured = hub.measure(device, what, plan.timeout_s)
    found = to_benchmarks(device, measured, at=time.time())
    store.benchmarks.add(found)
    return found


def to_benchmarks(device: str, measured: Measured, *, at: float) -> list[Benchmark]:
    """Return a device's figures as records."""
    return [
        Benchmark(
            artifact=figures.sha256,
            device=device,
            machine=measured.machine,
            runtime=measured.runtime,
            threads=measured.threads,
            camera=measured.camera,
            busy=measured.busy,
            at=at,
            **figures.model_dump(exclude={"sha256"}),
        )
        for figures in measured.models
    ]

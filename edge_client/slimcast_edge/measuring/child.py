"""Measures in a process of its own: ``python -m slimcast_edge.measuring.child``.

Takes one JSON line on stdin (`ModelRequest` or `LayersRequest` as a dictionary) and prints one on stdout:
the figures, or ``{"error": "..."}``. What a model crashes here, it crashes only here; and the memory that it
takes is that of a fresh process.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slimcast_edge.bench import is_busy, measure_latency, measure_layer
from slimcast_edge.deploy.child import die_with_parent
from slimcast_edge.errors import SlimcastError
from slimcast_edge.measuring.layers import read_layers
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.telemetry import peak_rss_mb, temperature_c, throttled


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """Time one model for so many seconds. `choice`: fields of `RuntimeChoice`, its cache as text."""

    model: str
    seconds: float
    choice: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LayersRequest:
    """Time the layers of a bundle on the CPU, see `slimcast_edge.bench.measure_layer`."""

    bundle: str
    count: int
    beside_bytes: int
    threads: int


def main() -> int:
    """Measure and print; 0 when it succeeded."""
    die_with_parent()
    request = json.loads(sys.stdin.readline())
    try:
        if "bundle" in request:
            document = _layers(LayersRequest(**request))
        else:
            document = _model(ModelRequest(**request))
    except SlimcastError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    print(json.dumps(document), flush=True)
    return 0


def _model(request: ModelRequest) -> dict[str, Any]:
    cache = request.choice["cache"]
    choice = RuntimeChoice(**request.choice | {"cache": Path(cache) if cache else None})
    runtime = choice.open(Path(request.model))
    before_c, was_throttled = temperature_c(), throttled()
    latency = measure_latency(runtime, seconds=request.seconds)
    is_throttled = throttled()
    return asdict(latency) | {
        "provider": runtime.provider,
        "peak_rss_mb": peak_rss_mb(),
        "temperature_before_c": before_c,
        "temperature_after_c": temperature_c(),
        "throttled": None if is_throttled is None else bool(is_throttled or was_throttled),
        "busy": is_busy(),
    }


def _layers(request: LayersRequest) -> dict[str, Any]:
    times = [
        measure_layer(graph, threads=request.threads, beside_bytes=request.beside_bytes)
        for graph in read_layers(Path(request.bundle), request.count)
    ]
    return {
        "layers": [{"ms": float(f"{time.ms:.6g}"), "runs": time.runs} for time in times],
        "busy": is_busy(),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Tries a model in a process of its own: ``python -m slimcast_edge.deploy.trial MODEL``.

It opens the model, lets it answer its golden samples and times it. What crashes here, crashes only here. The
last line on stdout is the outcome as JSON.

An alarm ends what hangs, since its default is to end the process. One is for opening the model and its first
answer, when a provider such as TensorRT builds its engine, and one for the rest: `BUILT` lies between them.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from slimcast_edge.artifact import Golden
from slimcast_edge.bench import measure_latency
from slimcast_edge.deploy.child import die_with_parent
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure
from slimcast_edge.runtime import Runtime, RuntimeChoice
from slimcast_edge.runtime.providers import builds_engines

BUILT = "built"


def try_model(
    path: Path,
    choice: RuntimeChoice,
    *,
    max_latency_ms: float | None,
    built: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Try a model and return the outcome: ok and latency_ms, or reason and message.

    `built` is called once the model has given its first answer: what had to be compiled is compiled then.
    """
    try:
        opened = choice.open(path)
        opened.run(np.zeros((1, *_shape(opened)), np.uint8))
        built()
        check_golden(opened)
        latency = measure_latency(opened, seconds=0.3, warmup=3, min_runs=10)
    except ArtifactError as error:
        return {"ok": False, "reason": error.reason, "message": str(error)}
    except RuntimeFailure as error:
        return {"ok": False, "reason": Refusal.LOADER_FAILED, "message": str(error)}
    if max_latency_ms is not None and latency.p50_ms > max_latency_ms:
        message = (
            f"One image takes {_words(latency.p50_ms)} here; at most {_words(max_latency_ms)} are allowed."
        )
        return {"ok": False, "reason": Refusal.TOO_SLOW, "message": message}
    return {"ok": True, "latency_ms": latency.p50_ms}


def _words(ms: float) -> str:
    return f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2g} ms"


def _shape(opened: Runtime) -> tuple[int, int, int]:
    size = opened.info.input
    return size.height, size.width, size.channels


def check_golden(runtime: Runtime) -> None:
    """Compare the model's answers with those that its maker got.

    Raises:
        ArtifactError: another class comes first, or a logit is further off than the tolerance.

    """
    golden: Golden = runtime.info.golden
    for number, sample in enumerate(golden.samples):
        expected = np.asarray(sample.logits, np.float32)
        logits = runtime.run(sample.pixels()[None])[0]
        worst = float(np.abs(logits - expected).max()) if logits.shape == expected.shape else float("inf")
        if not worst <= golden.tolerance or logits.argmax() != expected.argmax():  # written so that NaN fails
            raise ArtifactError(
                Refusal.GOLDEN_SAMPLES_DIFFER,
                f"On golden sample {number} of {runtime.info.name!r} this device's answer differs from the "
                f"studio's by {worst:.3g}; at most {golden.tolerance:.3g} and the same class are allowed.",
            )


def main(arguments: list[str] | None = None) -> int:
    """Run the trial; return 0 whatever its outcome."""
    parser = argparse.ArgumentParser(prog="python -m slimcast_edge.deploy.trial", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--spin", action="store_true")
    parser.add_argument("--engine-cache", type=Path)
    parser.add_argument("--max-latency-ms", type=float, default=None)
    parser.add_argument("--build-s", type=float, default=120.0)
    parser.add_argument("--limit-s", type=float, default=120.0)
    options = parser.parse_args(arguments)
    os.nice(10)  # the camera goes first
    die_with_parent()
    choice = RuntimeChoice.from_options(options)

    def built() -> None:
        print(BUILT, flush=True)
        signal.setitimer(signal.ITIMER_REAL, options.limit_s)

    patient = builds_engines(choice.provider, onnxruntime.get_available_providers())
    signal.setitimer(signal.ITIMER_REAL, options.build_s if patient else options.limit_s)
    outcome = try_model(options.model, choice, max_latency_ms=options.max_latency_ms, built=built)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps(outcome), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

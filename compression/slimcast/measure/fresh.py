"""Open an artifact in a fresh process: proof that it stands alone, and honest latency and memory figures."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slimcast.errors import StepError
from slimcast.reporting import Reporter
from slimcast.timing import FRESH_PROCESS, part_time
from slimcast_edge.bench import Latency

_TIMEOUT_S = 120.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class FreshRun:
    """What the fresh process saw: logits (N, K), latency (batch 1, one thread), peak memory in MB."""

    logits: np.ndarray
    latency: Latency
    peak_rss_mb: float


def run_fresh(content: bytes, images: np.ndarray, *, seconds: float, reporter: Reporter) -> FreshRun:
    """Run the artifact on a few images, uint8 (n, H, W, C), in a new process.

    Raises:
        StepError: the artifact cannot be opened or run there.
    """
    with tempfile.TemporaryDirectory(prefix="slimcast-") as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(content)
        np.save(folder / "images.npy", images, allow_pickle=False)
        arguments = [folder / "model.onnx", folder / "images.npy", folder / "logits.npy", seconds]
        report = _call([str(argument) for argument in arguments], folder, reporter)
        logits = np.load(folder / "logits.npy", allow_pickle=False)
    return FreshRun(logits=logits, latency=Latency(**report["latency"]), peak_rss_mb=report["peak_rss_mb"])


def _call(arguments: list[str], folder: Path, reporter: Reporter) -> dict:
    # Files rather than pipes: a full pipe would block the child while we poll.
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        command = [sys.executable, "-m", "slimcast.measure.child", *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        try:
            with part_time(FRESH_PROCESS):
                _wait(process, reporter)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        lines, complaint = out.read().strip().splitlines(), err.read().strip()
    try:
        report: dict = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise StepError(
            f"The artifact broke its process (exit code {process.returncode}): {complaint[-400:]}"
        ) from error
    if "error" in report:
        raise StepError(f"The artifact cannot be used: {report['error']}")
    return report


def _wait(process: subprocess.Popen, reporter: Reporter) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while process.poll() is None:
        reporter.check_cancelled()
        if time.monotonic() > deadline:
            raise StepError(f"The artifact did not finish a few images within {_TIMEOUT_S:.0f} s.")
        time.sleep(_POLL_S)

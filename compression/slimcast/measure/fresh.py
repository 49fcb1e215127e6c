"""Open an artifact in a fresh process: proof that it stands alone, and honest latency and memory figures."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from slimcast.errors import StepError
from slimcast.reporting import Reporter
from slimcast.timing import FRESH_PROCESS, part_time
from slimcast_edge.bench import Latency

_TIMEOUT_S = 120.0
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class FreshRun:
    """What the fresh process saw: logits (N, K), latency (batch 1, one thread), peak memory in MB."""

    logits: np.ndarray
    latency: Latency
    peak_rss_mb: float


class FreshProcess:
    """A new process that waits for an artifact, as a context manager.

    Enter it before work that takes a moment: it imports its libraries meanwhile, then sleeps until it is
    asked. Leaving it ends the process.
    """

    def __enter__(self) -> Self:
        self._cleanup = contextlib.ExitStack()
        self._folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="slimcast-")))
        # Files rather than pipes: a full pipe would block the child while we poll.
        self._out = self._cleanup.enter_context((self._folder / "out").open("w+"))
        self._err = self._cleanup.enter_context((self._folder / "err").open("w+"))
        command = [sys.executable, "-m", "slimcast.measure.child"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self._out, stderr=self._err, text=True
        )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._cleanup.close()

    def run(self, content: bytes, images: np.ndarray, *, seconds: float, reporter: Reporter) -> FreshRun:
        """Run the artifact on a few images, uint8 (n, H, W, C), for so many seconds; once.

        Raises:
            StepError: the artifact cannot be opened or run there.
            Cancelled: somebody cancelled the run.
        """
        (self._folder / "model.onnx").write_bytes(content)
        np.save(self._folder / "images.npy", images, allow_pickle=False)
        names = {"model": "model.onnx", "images": "images.npy", "logits": "logits.npy"}
        request = {key: str(self._folder / name) for key, name in names.items()} | {"seconds": seconds}
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died already: the report says of what
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        with part_time(FRESH_PROCESS):
            self._wait(reporter)
        report = self._report()
        logits = np.load(self._folder / "logits.npy", allow_pickle=False)
        return FreshRun(
            logits=logits, latency=Latency(**report["latency"]), peak_rss_mb=report["peak_rss_mb"]
        )

    def _wait(self, reporter: Reporter) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while self._process.poll() is None:
            reporter.check_cancelled()
            if time.monotonic() > deadline:
                raise StepError(f"The artifact did not finish a few images within {_TIMEOUT_S:.0f} s.")
            time.sleep(_POLL_S)

    def _report(self) -> dict:
        self._out.seek(0)
        self._err.seek(0)
        lines, complaint = self._out.read().strip().splitlines(), self._err.read().strip()
        try:
            report: dict = json.loads(lines[-1])
        except (IndexError, ValueError) as error:
            raise StepError(
                f"The artifact broke its process (exit code {self._process.returncode}): {complaint[-400:]}"
            ) from error
        if "error" in report:
            raise StepError(f"The artifact cannot be used: {report['error']}")
        return report


def run_fresh(content: bytes, images: np.ndarray, *, seconds: float, reporter: Reporter) -> FreshRun:
    """Start a fresh process, and run the artifact there, see `FreshProcess.run`."""
    with FreshProcess() as process:
        return process.run(content, images, seconds=seconds, reporter=reporter)

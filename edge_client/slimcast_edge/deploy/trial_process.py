"""Starts the trial of a model, and reads how it ended, however it did."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

from slimcast_edge.deploy.port import TrialPassed
from slimcast_edge.deploy.trial import BUILT
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.runtime import RuntimeChoice

_START_S = 60.0
"""For starting Python and importing, on the slowest board."""


class TrialProcess:
    """Runs trials one at a time. `stop` kills the one that runs.

    Args:
        choice: what executes the model.
        max_latency_ms: a model that takes longer for one image has failed.
        build_s: how long a provider that compiles models (TensorRT) may take for that.
        timeout_s: how long all else may take.

    """

    def __init__(
        self,
        choice: RuntimeChoice,
        *,
        max_latency_ms: float | None,
        build_s: float = 120.0,
        timeout_s: float = 120.0,
    ) -> None:
        self._options = [*choice.arguments(), "--build-s", str(build_s), "--limit-s", str(timeout_s)]
        if max_latency_ms is not None:
            self._options += ["--max-latency-ms", str(max_latency_ms)]
        self._build_s, self._timeout_s = build_s, timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def __call__(self, model: Path) -> TrialPassed:
        """Try a model.

        Raises:
            ArtifactError: it failed, and how.

        """
        command = [sys.executable, "-m", "slimcast_edge.deploy.trial", str(model), *self._options]
        with self._lock:
            if self._stopped:
                raise ArtifactError(Refusal.LOADER_FAILED, "The client is stopping.")
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        with self._process as process:
            try:
                # It ends itself in time, unless it hangs before it has set its clock.
                out, problems = process.communicate(timeout=self._build_s + self._timeout_s + _START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise self._too_late(BUILT) from None
            finally:
                self._process = None
        if process.returncode == -signal.SIGALRM:
            raise self._too_late(out)
        return _read(process.returncode, out, problems)

    def _too_late(self, out: str) -> ArtifactError:
        if BUILT in out.split() or self._build_s <= self._timeout_s:
            text = f"The model did not get ready within {self._timeout_s:.0f} s."
        else:
            text = (
                f"The model was not compiled within {self._build_s:.0f} s. Let `build_s` of this device's "
                "settings be longer, or choose another `provider`."
            )
        return ArtifactError(Refusal.LOADER_FAILED, text)

    def stop(self) -> None:
        """Kill the trial that runs, and let none start any more."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None:
            process.kill()


def _read(code: int, out: str, problems: str) -> TrialPassed:
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        raise ArtifactError(
            Refusal.LOADER_CRASHED,
            f"The model crashed the process that tried it ({name}). It was not put to work.",
        )
    try:
        outcome = json.loads(out.splitlines()[-1])
        if outcome["ok"]:
            return TrialPassed(latency_ms=float(outcome["latency_ms"]))
        refusal = ArtifactError(Refusal(outcome["reason"]), str(outcome["message"]))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        tail = (problems.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise ArtifactError(
            Refusal.LOADER_FAILED, f"The trial of the model ended with code {code}: {tail}"
        ) from error
    raise refusal

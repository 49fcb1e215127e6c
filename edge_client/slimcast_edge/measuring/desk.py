"""Carries out orders to measure something, one at a time: fetch, time in processes of their own, answer."""

import contextlib
import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from slimcast_edge.bench import describe_machine
from slimcast_edge.deploy.fetch import Superseded
from slimcast_edge.deploy.obtain import Obtaining
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.errors import ArtifactError
from slimcast_edge.measuring.child import LayersRequest, ModelRequest
from slimcast_edge.measuring.judge import Judge, NotObeyed
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.wire import LayerFigures, Measure, Measured, ModelFigures, Reply, decode

logger = logging.getLogger(__name__)

_START_S = 180.0  # a process of its own takes long on the slowest boards
_LAYERS_S = 300.0


class MeasuringHost(ChunkSource, Protocol):
    """The running client, as measuring sees it."""

    def pause(self, on: bool) -> None:
        """Leave the camera's frames unclassified, or classify them again."""

    def answer(self, reply: Reply) -> None:
        """Send a reply."""


@dataclass(frozen=True, kw_only=True)
class MeasuringPlace:
    """Where and with what is measured.

    Attributes:
        folder: for what is fetched; emptied before and after.
        models: where the device's own models lie, by hash: what is there is not fetched.
        choice: how models are executed. version: name and version of the runtime.
        options: patience of downloads.

    """

    folder: Path
    models: Callable[[str], Path]
    choice: RuntimeChoice
    version: str
    options: DeployOptions


class Measuring:
    """Orders come from the connection's worker, chunks too; the work is done in a thread of its own."""

    def __init__(self, place: MeasuringPlace, host: MeasuringHost, judge: Judge) -> None:
        self._place, self._host, self._judge = place, host, judge
        self._busy = threading.Lock()
        self._interrupted = threading.Event()
        self._stopped = False
        self._files = Obtaining(place.folder, place.models, host, place.options)
        self._process: subprocess.Popen[str] | None = None

    def order(self, payload: bytes) -> None:
        """Take an order as it came.

        Raises:
            WireError: it is malformed.

        """
        command_id = decode(Measure, "cmd/measure", payload).id
        try:
            order = self._judge.judge(Measure, payload)
        except NotObeyed as error:
            logger.warning("Not measured: %s", error)
            self._host.answer(_failure(command_id, str(error)))
            return
        if order is None or self._stopped:
            return
        if not self._busy.acquire(blocking=False):
            self._host.answer(_failure(command_id, "This device is measuring something else already."))
            return
        self._interrupted.clear()
        threading.Thread(target=self._run, args=(order,), name="measure", daemon=True).start()

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        return self._files.chunk(sha256, number, data)

    def interrupt(self) -> None:
        """End what is going on: a new model takes over, and must have the device for itself."""
        self._interrupted.set()
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End what is going on; nothing is measured any more."""
        self._stopped = True
        self.interrupt()

    def _run(self, order: Measure) -> None:
        try:
            reply = Reply(id=order.id, ok=True, result=self._carry_out(order).model_dump(mode="json"))
        except (NotObeyed, ArtifactError) as error:
            reply = _failure(order.id, str(error))
        except Superseded:
            reply = _failure(order.id, "Interrupted: a new model took over on this device. Try again.")
        except OSError as error:
            reply = _failure(order.id, f"It cannot be stored here: {error.strerror or error}.")
        except Exception:  # an error of ours must not keep the device from measuring ever again
            logger.exception("Measuring failed unexpectedly.")
            reply = _failure(order.id, "Measuring failed unexpectedly; the device's log says more.")
        finally:
            shutil.rmtree(self._place.folder, ignore_errors=True)
            self._busy.release()
        self._host.answer(reply)

    def _carry_out(self, order: Measure) -> Measured:
        choice = replace(self._place.choice, threads=order.threads or self._place.choice.threads)
        self._files.empty()
        # First everything is there: while something is timed, nothing is received.
        models = [(ref, self._files.obtain(ref, self._interrupted.is_set)) for ref in order.models]
        bundle = self._files.obtain(order.layers.artifact, self._interrupted.is_set) if order.layers else None
        busy, figures, layers = False, [], []
        with self._paused(order.pause):
            for ref, path in models:
                request = ModelRequest(model=str(path), seconds=order.seconds, choice=_as_json(choice))
                document = self._child(asdict(request), order.seconds + _START_S)
                busy |= bool(document.pop("busy"))
                figures.append(ModelFigures(sha256=ref.sha256, **document))
            if order.layers is not None:
                document = self._child(_layers_request(order, bundle, choice), _LAYERS_S)
                busy |= bool(document["busy"])
                layers = [LayerFigures(**item) for item in document["layers"]]
        return Measured(
            machine=describe_machine()[:300],
            runtime=self._place.version,
            threads=choice.threads,
            camera="paused" if order.pause else "running",
            busy=busy,
            models=figures,
            layers=layers,
        )

    @contextlib.contextmanager
    def _paused(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        self._host.pause(True)
        try:
            yield
        finally:
            self._host.pause(False)

    def _child(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Let a process measure, and return what it says.

        Raises:
            NotObeyed: it failed, and how. Superseded: it was interrupted.

        """
        if self._interrupted.is_set():
            raise Superseded
        command = [sys.executable, "-m", "slimcast_edge.measuring.child"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
            self._process = process
            try:
                out, problems = process.communicate(json.dumps(request) + "\n", timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise NotObeyed(f"Measuring took longer than {timeout_s:.0f} s.") from None
            finally:
                self._process = None
        if self._interrupted.is_set():
            raise Superseded
        try:
            document: dict[str, Any] = json.loads(out.splitlines()[-1])
        except (ValueError, IndexError):
            tail = (problems.strip().splitlines() or ["it said nothing"])[-1][:300]
            raise NotObeyed(
                f"The process that measured ended with code {process.returncode}: {tail}"
            ) from None
        if "error" in document:
            raise NotObeyed(document["error"])
        return document


def _as_json(choice: RuntimeChoice) -> dict[str, Any]:
    return asdict(choice) | {"cache": str(choice.cache) if choice.cache else None}


def _layers_request(order: Measure, bundle: Path | None, choice: RuntimeChoice) -> dict[str, Any]:
    assert order.layers is not None
    return asdict(
        LayersRequest(
            bundle=str(bundle),
            count=order.layers.count,
            beside_bytes=order.layers.beside_bytes,
            threads=choice.threads,
        )
    )


def _failure(command_id: str, error: str) -> Reply:
    return Reply(id=command_id, ok=False, error=error[:600])

"""A second model that answers the camera's frames too, while somebody compares it with the device's own."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slimcast_edge.artifact_file import check_file
from slimcast_edge.camera import Frame
from slimcast_edge.client.engine import Answer, Engine, Loaded, answer
from slimcast_edge.deploy.fetch import Superseded
from slimcast_edge.deploy.obtain import Obtaining
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.deploy.trial_process import TrialProcess
from slimcast_edge.errors import ArtifactError, RuntimeFailure
from slimcast_edge.measuring.judge import Judge, NotObeyed
from slimcast_edge.wire import ArtifactRef, Compare, Compared, Reply, decode

logger = logging.getLogger(__name__)

_REST = 3.0
_CREDIT_S = 0.5
_NEW_MODEL = "A new model took over on this device, which ended the comparison. Choose it again."


class ComparingHost(ChunkSource, Protocol):
    """The running client, as comparing sees it."""

    def answer(self, reply: Reply) -> None:
        """Send a reply."""


@dataclass(frozen=True, kw_only=True)
class ComparingPlace:
    """Where a second model lies and how it is tried.

    Attributes:
        folder: for what is fetched; emptied before and after.
        models: where the device's own models lie, by hash: what is there is not fetched.
        trial: makes a process that tries a model.
        options: patience of downloads.

    """

    folder: Path
    models: Callable[[str], Path]
    trial: Callable[[], TrialProcess]
    options: DeployOptions


class Turns:
    """Which frames the second model answers: all of them, unless others have to wait for it.

    What it takes while they do, it pays for with three times as long a rest, so the device's own model keeps
    three quarters of the time, however slow the second one is. Half a second is credit: frames of several
    cameras that come at once wait for each other anyway.

    Whoever goes first finds a processor that sleeps and pixels that are in no cache, which is a third of a
    millisecond on a small network. So they take turns, as long as hardly anybody has to wait for that.
    """

    def __init__(self) -> None:
        self._paid_until = float("-inf")
        self._frames = -1

    def may(self, now: float) -> bool:
        """Return whether it may answer at this time, s."""
        return now >= self._paid_until

    def goes_first(self, now: float) -> bool:
        """Return whether it answers the next frame before the device's own model: half of the time.

        Not every other one (it is the Thue-Morse sequence): two cameras may take turns as well.
        """
        self._frames += 1
        return self._frames.bit_count() % 2 == 1 and now - self._paid_until >= _CREDIT_S / 2

    def took(self, seconds: float, *, others_wait: bool, now: float) -> None:
        """Note how long an answer took, and whether a frame waits by now."""
        if others_wait:
            self._paid_until = max(self._paid_until, now - _CREDIT_S) + (1 + _REST) * seconds


class _Comparison:
    """One second model from the first order for it to its end. Its fields are set under the desk's lock."""

    def __init__(self, order: Compare, trial: TrialProcess) -> None:
        self.id, self.ref = order.comparison, order.model
        self.trial = trial
        self.stage = Compared(state="fetching")
        self.until = 0.0
        self.loaded: Loaded | None = None
        self.ended = ""
        self.turns = Turns()

    def prolong(self, lease_s: float) -> None:
        self.until = time.monotonic() + lease_s

    @property
    def is_over(self) -> bool:
        return bool(self.ended) or time.monotonic() >= self.until


class Comparing:
    """Orders and chunks come from the connection's worker, frames from the model's thread."""

    def __init__(self, place: ComparingPlace, host: ComparingHost, judge: Judge, engine: Engine) -> None:
        self._place, self._host, self._judge, self._engine = place, host, judge, engine
        self._files = Obtaining(place.folder, place.models, host, place.options)
        self._changed = threading.Condition()
        self._now: _Comparison | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def order(self, payload: bytes) -> None:
        """Begin, prolong or end a comparison, as the order says, and answer it.

        Raises:
            WireError: it is malformed.

        """
        command_id = decode(Compare, "cmd/compare", payload).id
        try:
            order = self._judge.judge(Compare, payload)
            if order is None or self._stopped:
                return
            stage = self._take(order)
        except NotObeyed as error:
            self._host.answer(Reply(id=command_id, ok=False, error=str(error)[:600]))
        else:
            self._host.answer(Reply(id=command_id, ok=True, result=stage.model_dump(mode="json")))

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        return self._files.chunk(sha256, number, data)

    def goes_first(self) -> bool:
        """Return whether the second model is to answer the next frame before the device's own."""
        now = self._now
        return now is not None and now.loaded is not None and now.turns.goes_first(time.monotonic())

    def answer(self, frame: Frame, others_wait: Callable[[], bool]) -> Answer | None:
        """Return what the second model says of a frame; None where there is none, or it is not its turn."""
        now = self._now
        loaded = now.loaded if now is not None else None
        if now is None or loaded is None or not now.turns.may(time.monotonic()):
            return None
        began = time.monotonic()
        try:
            found = answer(loaded, frame)
        except RuntimeFailure as error:
            self._end(now, f"The second model failed on a frame: {error}")
            return None
        ended = time.monotonic()
        now.turns.took(ended - began, others_wait=others_wait(), now=ended)
        return found

    def interrupt(self) -> None:
        """End what is going on: a new model takes over, and must have the device for itself."""
        now = self._now
        if now is not None:
            self._end(now, _NEW_MODEL)

    def stop(self) -> None:
        """End what is going on; nothing is compared any more."""
        self._stopped = True
        self.interrupt()

    @property
    def thread(self) -> threading.Thread | None:
        """The thread of the newest comparison; it ends soon after that."""
        return self._thread

    def _take(self, order: Compare) -> Compared:
        """Return how far the comparison is.

        Raises:
            NotObeyed: it has ended, or cannot begin.

        """
        with self._changed:
            now = self._now
            if now is None or now.id != order.comparison:
                if order.lease_s == 0:
                    raise NotObeyed("There is no such comparison to end.")
                now = self._begin(order, now)
            if now.ended:
                raise NotObeyed(now.ended)
            now.prolong(order.lease_s)
            self._changed.notify_all()
            return now.stage

    def _begin(self, order: Compare, before: _Comparison | None) -> _Comparison:
        if before is not None and not before.is_over:
            raise NotObeyed(
                f"This device compares {before.ref.name!r} already, for another page or another studio. "
                "It takes one second model at a time."
            )
        current = self._engine.current
        if current is None:
            raise NotObeyed("There is no model on this device yet to compare with. Publish one first.")
        if current.entry.sha256 == order.model.sha256:
            raise NotObeyed("This is the model that the device runs. Choose another one to compare it with.")
        now = self._now = _Comparison(order, self._place.trial())
        now.prolong(order.lease_s)
        self._thread = threading.Thread(
            target=self._run, args=(now, self._thread), name="compare", daemon=True
        )
        self._thread.start()
        return now

    def _run(self, now: _Comparison, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it still empties the folder, and lets go of its model
        try:
            self._prepare(now)
            logger.info("%s answers beside the device's model.", now.ref.name)
            with self._changed:
                while not now.is_over:
                    self._changed.wait(max(0.01, now.until - time.monotonic()))
        except (ArtifactError, RuntimeFailure) as error:
            self._end(now, str(error))
        except Superseded:
            pass  # whoever ended it has said why
        except OSError as error:
            self._end(now, f"It cannot be stored on this device: {error.strerror or error}.")
        except Exception:  # an error of ours must not keep the device from comparing ever again
            logger.exception("Comparing failed unexpectedly.")
            self._end(now, "Comparing failed unexpectedly; the device's log says more.")
        finally:
            self._end(now, "The comparison has ended, since nobody prolonged it.")
            shutil.rmtree(self._place.folder, ignore_errors=True)

    def _prepare(self, now: _Comparison) -> None:
        """Have the second model on disk, checked, tried, open and warm, as a model that is published."""
        self._files.empty()
        path = self._files.obtain(
            now.ref,
            lambda: now.is_over,
            lambda share: self._note(now, Compared(state="fetching", progress=share)),
        )
        check_file(path)
        self._note(now, Compared(state="trying", progress=1.0))
        # In a process of its own: what crashes, or needs more memory than there is, ends there.
        passed = now.trial(path)
        loaded = self._engine.open(path, _entry(now.ref))
        self._note(now, Compared(state="running", progress=1.0, latency_ms=passed.latency_ms), loaded)

    def _note(self, now: _Comparison, stage: Compared, loaded: Loaded | None = None) -> None:
        with self._changed:
            if now.is_over:
                raise Superseded
            now.stage, now.loaded = stage, loaded

    def _end(self, now: _Comparison, why: str) -> None:
        with self._changed:
            if not now.ended:
                now.ended = why
                logger.info("%s answers no more: %s", now.ref.name, why)
            now.loaded = None  # whoever answers with it just now finishes that frame
            self._changed.notify_all()
        now.trial.stop()


def _entry(ref: ArtifactRef) -> ModelEntry:
    return ModelEntry(sha256=ref.sha256, name=ref.name)

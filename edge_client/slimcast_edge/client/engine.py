"""The model that classifies now, and the way in which another takes its place between two frames."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slimcast_edge import memory
from slimcast_edge.artifact import InputSpec
from slimcast_edge.bench import noise
from slimcast_edge.camera import Frame
from slimcast_edge.deploy.port import Health
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.errors import RuntimeFailure
from slimcast_edge.input_detail import suffices
from slimcast_edge.preprocess import prepare
from slimcast_edge.runtime import Runtime, RuntimeChoice
from slimcast_edge.wire import Prediction

logger = logging.getLogger(__name__)

TOP = 3
_RECENT = 512
_WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is open and warm."""

    entry: ModelEntry
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said of a frame: the best classes as (index, score), best first."""

    loaded: Loaded
    best: tuple[tuple[int, float], ...]
    latency_ms: float
    classified_at: float

    @property
    def label(self) -> str:
        """The label of the best class."""
        return self.loaded.runtime.info.labels[self.best[0][0]]

    @property
    def predictions(self) -> list[Prediction]:
        """The classes as they travel."""
        labels = self.loaded.runtime.info.labels
        return [
            Prediction(label=labels[index], index=index, score=min(1.0, score)) for index, score in self.best
        ]


class _Watch:
    """Counts what a model does from the moment in which it took over."""

    def __init__(self, captured: int) -> None:
        self.since = time.monotonic()
        self.captured_before = captured
        self.classified = 0
        self.errors = 0
        self.last_error = ""
        self.latencies_ms: deque[float] = deque(maxlen=_RECENT)

    @property
    def fps(self) -> float:
        return self.classified / max(1e-6, time.monotonic() - self.since)

    @property
    def latency_ms(self) -> float:
        return float(np.median(self.latencies_ms)) if self.latencies_ms else 0.0


class Engine:
    """Classifies frames with the current model. `classify` belongs to one thread, the rest to any."""

    def __init__(self, choice: RuntimeChoice) -> None:
        self._choice = choice
        self._paused = False
        self._between_frames = threading.Lock()
        self._current: Loaded | None = None
        self._before: Loaded | None = None
        self._captured = 0
        self._watch = _Watch(0)
        self._before_fps = self._before_latency_ms = 0.0

    @property
    def current(self) -> Loaded | None:
        """The model that classifies."""
        return self._current

    def open(self, path: Path, entry: ModelEntry) -> Loaded:
        """Open and warm a model without using it yet.

        Raises:
            ArtifactError, RuntimeFailure: it cannot be opened.

        """
        runtime = self._choice.open(path)
        images = noise(runtime, 1)
        for _ in range(_WARM_UP_RUNS):
            runtime.run(images)
        return Loaded(entry, runtime)

    def swap(self, loaded: Loaded | None) -> None:
        """Let a model (or none) take over. Returns once no frame is in the hands of the old one."""
        with self._between_frames:
            watch = self._watch
            self._before_fps, self._before_latency_ms = watch.fps, watch.latency_ms
            self._before = self._current if loaded is not None else None
            self._current = loaded
            self._watch = _Watch(self._captured)

    def settle(self) -> None:
        """Let go of the model that was swapped out; until then it answers where the new one fails."""
        with self._between_frames:
            self._before = None
        memory.give_back()

    def is_previous(self, entry: ModelEntry) -> Loaded | None:
        """Return the model that was swapped out, if it is this one and still open."""
        before = self._before
        return before if before is not None and before.entry.sha256 == entry.sha256 else None

    def count_captured(self) -> None:
        """Note that the camera gave a frame."""
        if not self._paused:
            self._captured += 1

    def pause(self, on: bool) -> None:
        """Leave frames unclassified, or classify them again; returns once none is in the model's hands."""
        with self._between_frames:
            self._paused = on

    def classify(self, frame: Frame) -> Answer | None:
        """Classify a frame; None without a model, or where it failed (which is counted)."""
        with self._between_frames:
            current, watch = self._current, self._watch
            if current is None or self._paused:
                return None
            try:
                found = answer(current, frame)
            except RuntimeFailure as error:
                self._note_failure(watch, error)
                return self._stand_in(frame)
            watch.classified += 1
            watch.latencies_ms.append(found.latency_ms)
            return found

    def health(self) -> Health:
        """Return how the current model is doing."""
        watch = self._watch
        return Health(
            seconds=time.monotonic() - watch.since,
            captured=self._captured - watch.captured_before,
            classified=watch.classified,
            errors=watch.errors,
            last_error=watch.last_error,
            latency_ms=watch.latency_ms,
            fps=watch.fps,
            before_latency_ms=self._before_latency_ms,
            before_fps=self._before_fps,
        )

    def _note_failure(self, watch: _Watch, error: RuntimeFailure) -> None:
        watch.errors += 1
        watch.last_error = str(error)
        if watch.errors & (watch.errors - 1) == 0:  # the 1st, 2nd, 4th, 8th ...: a log must not fill the disk
            logger.error("Failure %d on a frame: %s", watch.errors, error)

    def _stand_in(self, frame: Frame) -> Answer | None:
        """Let the model before answer, as long as it is there: no frame is lost to a bad new one."""
        if self._before is None:
            return None
        try:
            return answer(self._before, frame)
        except RuntimeFailure:
            return None


def answer(loaded: Loaded, frame: Frame) -> Answer:
    """Let a model answer a frame.

    Raises:
        RuntimeFailure: it failed, or answered with numbers that are none.

    """
    start = time.perf_counter()
    runtime = loaded.runtime
    spec = runtime.info.input
    ready = prepare(frame.pixels, spec) if frame.small is None else _of_the_smaller(frame, frame.small, spec)
    logits = runtime.run(ready)[0]
    # As few calls as can be: the model has just driven all of this out of the processor's caches.
    order = logits.argsort()[: -TOP - 1 : -1].tolist()
    scores = np.exp(logits - logits[order[0]])
    total = float(np.add.reduce(scores))
    if not total < float("inf"):  # NaN compares false
        raise RuntimeFailure(
            f"Model {loaded.entry.name!r} answered with numbers that are none (NaN or infinite)."
        )
    best = tuple([(index, scores.item(index) / total) for index in order])
    return Answer(loaded, best, (time.perf_counter() - start) * 1e3, time.time())


def _of_the_smaller(frame: Frame, small: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the input, uint8 (1, h, w, c), of the camera's small picture where that has all the detail."""
    if suffices(spec, small.shape[0], small.shape[1]):
        return prepare(small, spec, scaled=True)
    return prepare(frame.pixels, spec)

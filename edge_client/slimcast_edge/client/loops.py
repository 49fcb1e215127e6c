"""The threads that a frame goes through: camera, then model."""

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from slimcast_edge.camera import Camera, Frame
from slimcast_edge.client.engine import Answer, Engine
from slimcast_edge.errors import CameraError
from slimcast_edge.pulse import Pulse
from slimcast_edge.slots import Slot
from slimcast_edge.wire import MAX_LABEL_BYTES, MAX_LABELS

logger = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Classified:
    """A frame and what the model said of it."""

    frame: Frame
    answer: Answer


class Traffic:
    """Counts frames and their latencies since the last telemetry."""

    def __init__(self) -> None:
        self.frames = 0
        self.dropped = 0
        self.latency_sum_ms = 0.0
        self.last: Answer | None = None
        self._latencies_ms: deque[float] = deque(maxlen=4096)
        self._recent_ms: deque[float] = deque(maxlen=1024)
        self._labels: deque[str] = deque(maxlen=4096)

    def add(self, answer: Answer) -> None:
        """Count a frame that was classified, and its first label."""
        self.frames += 1
        self.latency_sum_ms += answer.latency_ms
        self.last = answer
        self._latencies_ms.append(answer.latency_ms)
        self._recent_ms.append(answer.latency_ms)
        self._labels.append(answer.label)

    @property
    def recent_latencies_ms(self) -> tuple[float, ...]:
        """The latencies of the last frames, ms."""
        return tuple(self._recent_ms.copy())  # copied in one step: the other thread goes on appending

    def take_latencies(self) -> list[float]:
        """Return the latencies since the last call, ms."""
        return [self._latencies_ms.popleft() for _ in range(len(self._latencies_ms))]

    def take_labels(self) -> tuple[dict[str, int], int]:
        """Return how often each label came first since the last call, and how often the others did."""
        counts = Counter(self._labels.popleft() for _ in range(len(self._labels)))
        labels, room = {}, MAX_LABEL_BYTES
        for label, count in counts.most_common(MAX_LABELS):
            room -= len(json.dumps(label, ensure_ascii=False).encode()) + 12  # colon, comma, the number
            if room < 0:
                break
            labels[label] = count
        return labels, counts.total() - sum(labels.values())


class CameraLoop:
    """Reads frames into the slot. A camera that fails is read, or opened, again after a while."""

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera] | None,
        slot: Slot[Frame],
        engine: Engine,
        traffic: Traffic,
        stopping: threading.Event,
    ) -> None:
        self.camera = camera
        self._reopen, self._slot, self._engine = reopen, slot, engine
        self._traffic, self._stopping = traffic, stopping
        self.pulse = Pulse()
        self._number = 0

    def run(self) -> None:
        """Read until stopped."""
        delay_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            self.pulse.beat()
            try:
                frame = self.camera.read()
            except CameraError as error:
                if self._stopping.is_set():
                    return
                logger.error("%s Trying again in %.0f s.", error, delay_s)
                self._stopping.wait(delay_s)
                delay_s = min(_LAST_RETRY_S, delay_s * 2)
                self._open_again()
                continue
            delay_s = _FIRST_RETRY_S
            self._pass_on(frame)

    def _pass_on(self, frame: Frame) -> None:
        # Counted here, since a camera that is opened again starts from zero.
        numbered = frame if frame.number == self._number else replace(frame, number=self._number)
        self._number += 1
        self._engine.count_captured()
        if self.camera.waits:
            while not self._slot.wait_empty(0.2) and not self._stopping.is_set():
                self.pulse.beat()
        if self._slot.put(numbered):
            self._traffic.dropped += 1

    def _open_again(self) -> None:
        if self._reopen is None or self._stopping.is_set():
            return
        try:
            self.camera.close()
            self.camera = self._reopen()
        except CameraError as error:
            logger.warning("%s", error)


class InferLoop:
    """Takes frames from the slot, classifies them and hands them on."""

    def __init__(
        self, slot: Slot[Frame], engine: Engine, traffic: Traffic, hand_on: Callable[[Classified], None]
    ) -> None:
        self._slot, self._engine, self._traffic, self._hand_on = slot, engine, traffic, hand_on
        self.pulse = Pulse()
        self._started = False

    def run(self) -> None:
        """Classify until the slot is closed."""
        while not self._slot.closed:
            self.pulse.rest()
            frame = self._slot.take()
            self.pulse.beat()
            if frame is None:
                continue
            try:
                self._one(frame)
            except Exception:  # an error of ours on one frame must not end all the others
                logger.exception("Classifying frame %d failed.", frame.number)
                time.sleep(0.1)  # if it is every frame, at least leave the processor to others

    def _one(self, frame: Frame) -> None:
        answer = self._engine.classify(frame)
        if answer is None:
            return
        self._traffic.add(answer)
        if not self._started:
            self._started = True
            logger.info("First frame classified: %s (%.1f ms).", answer.label, answer.latency_ms)
        self._hand_on(Classified(frame, answer))

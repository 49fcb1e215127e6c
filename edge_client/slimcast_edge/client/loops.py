"""The threads that a frame goes through: camera, then model."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from slimcast_edge.artifact import InputSpec
from slimcast_edge.camera import Camera, Frame
from slimcast_edge.camera.port import Exposing, Suiting
from slimcast_edge.camera.view import seen
from slimcast_edge.client.engine import Answer, Engine
from slimcast_edge.client.traffic import Traffic
from slimcast_edge.errors import CameraAway, CameraError
from slimcast_edge.pulse import Pulse
from slimcast_edge.slots import Ring, Slot
from slimcast_edge.wire import CameraView

logger = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Classified:
    """A frame and what the model said of it; `second`: what the one said that is compared with it."""

    frame: Frame
    answer: Answer
    second: Answer | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a camera comes from.

    Attributes:
        open: opens it; raises `CameraError`.
        reopens: whether it may be opened a second time.
        view: how it looks as long as nothing else is ordered.
        tell: says what has happened to it, to people.
        name: of the camera; empty for the only one.

    """

    open: Callable[[], Camera]
    reopens: bool = True
    view: CameraView = field(default_factory=CameraView)
    tell: Callable[[str], None] = lambda _: None
    name: str = ""


class CameraLoop:
    """Reads frames into the slot. A camera that fails is read, or opened, again after a while.

    Attributes:
        trouble: why there are no frames; "" while they come.

    """

    def __init__(
        self,
        source: Source,
        slot: Slot[Frame],
        engine: Engine,
        traffic: Traffic,
        stopping: threading.Event,
    ) -> None:
        self._source, self._slot, self._engine = source, slot, engine
        self._traffic, self._stopping = traffic, stopping
        self._camera: Camera | None = None
        self._view, self._exposed = source.view, CameraView()
        self._suited: tuple[InputSpec | None, CameraView | None] = (None, None)
        self._said = f"Camera {source.name}: " if source.name else ""
        self.trouble = ""
        self.pulse = Pulse()
        self._number = 0

    def open(self) -> None:
        """Open the camera; one that is away is tried again by `run`.

        Raises:
            CameraError: it will not come by itself.

        """
        try:
            self._camera = self._source.open()
        except CameraAway as error:
            self.note(error)

    def note(self, error: CameraError) -> None:
        """Take note that it could not be opened; `run` tries again until it can."""
        logger.error("%s%s Trying again until it comes.", self._said, error)
        self.trouble = str(error)

    def look(self, view: CameraView | None) -> None:
        """Look in this way from the next frame on; None: as the camera's settings say."""
        self._view = view or self._source.view

    def close(self) -> None:
        """Let go of the camera."""
        if self._camera is not None:
            self._camera.close()

    def run(self) -> None:
        """Read until stopped."""
        delay_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            self.pulse.beat()
            try:
                camera = self._opened()
                frame = camera.read()
            except CameraError as error:
                if self._stopping.is_set():
                    return
                self._note_trouble(error, delay_s)
                self._stopping.wait(delay_s)
                delay_s = min(_LAST_RETRY_S, delay_s * 2)
                continue
            delay_s = _FIRST_RETRY_S
            self._note_frame()
            self._pass_on(camera, frame)
        self.close()  # it may have been opened while the others stopped

    def _opened(self) -> Camera:
        if self._camera is None:
            self._camera = self._source.open()
            self._exposed, self._suited = CameraView(), (None, None)
        # Here, between two frames: OpenCV takes no settings while it reads.
        view, camera = self._view, self._camera
        if (view.exposure_ms, view.gain) != (self._exposed.exposure_ms, self._exposed.gain):
            self._exposed = view
            if isinstance(camera, Exposing):
                camera.expose(view.exposure_ms, view.gain)
        loaded = self._engine.current
        if loaded is not None:
            self._suit(camera, loaded.runtime.info.input, view)
        return camera

    def _suit(self, camera: Camera, spec: InputSpec, view: CameraView) -> None:
        """Have the camera shrink its pictures to what the model needs, where it can; once for each model."""
        if self._suited[0] is spec and self._suited[1] is view:
            return
        self._suited = (spec, view)
        if isinstance(camera, Suiting):
            camera.suit(spec, view)

    def _note_trouble(self, error: CameraError, delay_s: float) -> None:
        logger.error("%s%s Trying again in %.0f s.", self._said, error, delay_s)
        if not self.trouble:
            self._source.tell(str(error))
        self.trouble = str(error)
        if self._camera is not None and self._source.reopens:
            self._camera.close()
            self._camera = None

    def _note_frame(self) -> None:
        if self.trouble:
            self.trouble = ""
            logger.info("%sThe camera gives frames again.", self._said)
            self._source.tell("The camera gives frames again.")

    def _pass_on(self, camera: Camera, frame: Frame) -> None:
        # Counted here, since a camera that is opened again starts from zero.
        identity = (self._number, self._source.name)
        if (frame.number, frame.camera) != identity:
            frame = replace(frame, number=identity[0], camera=identity[1])
        shown = seen(frame, self._view)
        self._number += 1
        self._engine.count_captured()
        if camera.waits:
            while not self._slot.wait_empty(0.2) and not self._stopping.is_set():
                self.pulse.beat()
        if self._slot.put(shown):
            self._traffic.dropped += 1


class Second(Protocol):
    """Asks a second model, while there is one that is compared with the device's own."""

    def goes_first(self) -> bool:
        """Return whether it is to answer the next frame before the device's own model."""

    def answer(self, frame: Frame, others_wait: Callable[[], bool]) -> Answer | None:
        """Return its answer, None where there is none; `others_wait`: whether a frame waits by now."""


class InferLoop:
    """Takes the newest frame of each camera in turn, classifies it and hands it on.

    Args:
        traffic: where frames are counted, by the name of their camera.

    Attributes:
        second: None until somebody can compare.

    """

    def __init__(
        self,
        frames: Ring[Frame],
        engine: Engine,
        traffic: Mapping[str, Traffic],
        hand_on: Callable[[Classified], None],
    ) -> None:
        self._frames, self._engine, self._traffic, self._hand_on = frames, engine, traffic, hand_on
        self.second: Second | None = None
        self.pulse = Pulse()
        self._started = False

    def run(self) -> None:
        """Classify until the slots are closed."""
        while not self._frames.closed:
            self.pulse.rest()
            frame = self._frames.take()
            self.pulse.beat()
            if frame is None:
                continue
            try:
                self._one(frame)
            except Exception:  # an error of ours on one frame must not end all the others
                logger.exception("Classifying frame %d failed.", frame.number)
                time.sleep(0.1)  # if it is every frame, at least leave the processor to others

    def _one(self, frame: Frame) -> None:
        second = self._ask_second(frame) if self.second is not None and self.second.goes_first() else None
        answer = self._engine.classify(frame)
        if answer is None:
            return
        self._traffic[frame.camera].add(answer)
        if not self._started:
            self._started = True
            logger.info("First frame classified: %s (%.1f ms).", answer.label, answer.latency_ms)
        self._hand_on(Classified(frame, answer, second or self._ask_second(frame)))

    def _ask_second(self, frame: Frame) -> Answer | None:
        if self.second is None:
            return None
        return self.second.answer(frame, lambda: self._frames.waiting)

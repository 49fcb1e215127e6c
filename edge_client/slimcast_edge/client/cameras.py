"""The cameras of this device: each in a thread of its own, so that none waits for another or dies with it."""

import logging
import threading
from collections.abc import Callable, Sequence

from slimcast_edge.camera import Frame
from slimcast_edge.camera.configured import ConfiguredCamera
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.liveness import patience_s
from slimcast_edge.client.loops import CameraLoop, Source
from slimcast_edge.client.traffic import Traffic
from slimcast_edge.errors import CameraError
from slimcast_edge.pulse import Pulse
from slimcast_edge.slots import Ring
from slimcast_edge.wire import Desired

logger = logging.getLogger(__name__)


class Cameras:
    """Reads all cameras into slots that take turns: one model serves them all, and starves none.

    Args:
        tell: says what has happened to a camera, to people.

    Attributes:
        names: of the cameras; one empty name where there is one.
        frames: the newest frame of each, in turn.
        traffic: what was counted of each.

    """

    def __init__(
        self,
        configured: Sequence[ConfiguredCamera],
        engine: Engine,
        stopping: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self.names = tuple(camera.name for camera in configured)
        self.frames: Ring[Frame] = Ring(len(configured))
        self.traffic = {name: Traffic() for name in self.names}
        self._patience_s = {camera.name: patience_s(None, camera.fps) for camera in configured}
        self._loops = {
            camera.name: CameraLoop(_source(camera, tell), slot, engine, self.traffic[camera.name], stopping)
            for camera, slot in zip(configured, self.frames.slots, strict=True)
        }

    def open(self) -> None:
        """Open all cameras; those that are away, or cannot be opened beside others, are tried again later.

        Raises:
            CameraError: there is none that is open, or could come by itself.

        """
        failed: dict[str, CameraError] = {}
        for name, loop in self._loops.items():
            try:
                loop.open()
            except CameraError as error:
                failed[name] = error
        if len(failed) == len(self._loops):
            raise next(iter(failed.values()))
        for name, why in failed.items():
            self._loops[name].note(why)

    def start(self, spawn: Callable[[str, Callable[[], None]], None]) -> None:
        """Read them from now on, each in a thread that `spawn` makes by name."""
        for name, loop in self._loops.items():
            spawn(_thread_name(name), loop.run)

    def look(self, order: Desired) -> None:
        """Let each camera look as an order says."""
        for name, loop in self._loops.items():
            loop.look(order.view_of(name))

    @property
    def troubles(self) -> dict[str, str]:
        """Why a camera gives no frames, by its name; those that do are not in it."""
        troubles = {name: loop.trouble or self._hanging(name) for name, loop in self._loops.items()}
        return {name: trouble for name, trouble in troubles.items() if trouble}

    @property
    def messages(self) -> list[str]:
        """The troubles, as people are told of them."""
        return [_message(name, trouble) for name, trouble in self.troubles.items()]

    @property
    def pulses(self) -> dict[str, Sequence[Pulse]]:
        """What shows that they are read; one of several that hangs is no reason to start all anew."""
        return {"camera": [loop.pulse for loop in self._loops.values()]}

    def _hanging(self, name: str) -> str:
        silent_s = self._loops[name].pulse.silent_s
        return f"Its driver hangs since {silent_s:.0f} s." if silent_s > self._patience_s[name] else ""

    def close(self) -> list[threading.Thread]:
        """Let go of all of them, each in a thread of its own, since a driver may hang in it; return these."""
        threads = [
            threading.Thread(target=loop.close, name=f"close-{_thread_name(name)}", daemon=True)
            for name, loop in self._loops.items()
        ]
        for thread in threads:
            thread.start()
        return threads


def _source(camera: ConfiguredCamera, tell: Callable[[str], None]) -> Source:
    return Source(
        name=camera.name,
        open=camera.open,
        reopens=camera.reopens,
        view=camera.settings.view,
        tell=lambda message: tell(_message(camera.name, message)),
    )


def _message(name: str, message: str) -> str:
    return f"Camera {name}: {message}" if name else message


def _thread_name(name: str) -> str:
    return f"camera-{name}" if name else "camera"

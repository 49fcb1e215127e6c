"""A simulated camera on this machine: the real client, started from the browser, stopped with the app."""

import threading
from typing import TYPE_CHECKING

from slimcast.settings import Settings

if TYPE_CHECKING:
    from slimcast.demo.children import Children

HOLD_FRAMES = 15  # each digit is seen for half a second


class SimulatedCamera:
    """At most one process; any visitor can start it, all of them see it. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: Children | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Do nothing: it starts when somebody asks for it."""

    def switch_on(self) -> None:
        """Start the camera; nothing happens while it runs.

        Raises:
            FleetError: the client does not take the studio's key.
        """
        from slimcast.demo.camera import prepare_camera
        from slimcast.demo.children import Children

        with self._lock:
            if self._runs():
                return
            command = prepare_camera(self._settings, hold_frames=HOLD_FRAMES)
            children = Children(self._settings.logs_folder)
            children.start("camera", command, {})
            self._children = children

    @property
    def is_on(self) -> bool:
        """Whether its process runs."""
        with self._lock:
            return self._runs()

    def stop(self) -> None:
        """Stop it, if it runs."""
        with self._lock:
            if self._children is not None:
                self._children.stop()
                self._children = None

    def _runs(self) -> bool:
        from slimcast.errors import FleetError

        if self._children is None:
            return False
        try:
            self._children.check()
        except FleetError:  # it has ended by itself; its log says why
            self._children.stop()
            self._children = None
        return self._children is not None

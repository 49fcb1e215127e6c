"""What the client says of itself: that it is there, and what it is."""

import platform
import time
from collections.abc import Callable, Sequence

from slimcast_edge import __version__
from slimcast_edge.bench import describe_machine, hardware
from slimcast_edge.client.engine import Engine
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.wire import About, CameraAbout, Status


class Introduction:
    """Makes `status` and `about` of one session.

    Attributes:
        fingerprints: returns those of the pinned keys.

    """

    def __init__(self, settings: EdgeSettings, engine: Engine, session: str) -> None:
        self._settings, self._engine, self._session = settings, engine, session
        self._since = time.time()
        self.fingerprints: Callable[[], Sequence[str]] = tuple

    def status(self, *, online: bool) -> Status:
        """Return `status` of this session."""
        return Status(online=online, session=self._session, since=self._since)

    def about(self) -> bytes:
        """Return the payload of `about`."""
        from slimcast_edge.runtime.onnx import VERSION

        keys, current = list(self.fingerprints()), self._engine.current
        cameras = self._settings.all_cameras()
        return About(
            session=self._session,
            hardware=hardware()[:200],
            os=platform.platform()[:200],
            client=__version__,
            python=platform.python_version(),
            camera=", ".join(dict.fromkeys(camera.kind for camera in cameras))[:50],
            runtime=self._settings.runtime,
            providers=[current.runtime.provider] if current else [],
            threads=self._settings.threads,
            key_fingerprint=keys[0] if keys else "",
            key_fingerprints=keys,
            machine=describe_machine()[:300],
            runtime_version=VERSION,
            provider_reason=current.runtime.reason[:400] if current else "",
            cameras=[CameraAbout(name=camera.name, kind=camera.kind) for camera in cameras if camera.name],
        ).encode()

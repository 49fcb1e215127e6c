"""What the client does for those who operate it: systemd, Prometheus, Home Assistant."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from slimcast_edge.bench import hardware
from slimcast_edge.client.home_assistant import HomeAssistant
from slimcast_edge.client.liveness import Liveness, patience_s
from slimcast_edge.client.upkeep import Upkeep
from slimcast_edge.client.vitals import Vitals
from slimcast_edge.mqtt import Connection
from slimcast_edge.pulse import Pulse
from slimcast_edge.service_manager import ServiceManager
from slimcast_edge.settings import EdgeSettings

if TYPE_CHECKING:
    from slimcast_edge.client.metrics_server import MetricsServer

logger = logging.getLogger(__name__)


class Operations:
    """Puts these parts together by the settings.

    Args:
        vitals: returns how the client is.
        picture: sends the next frame of each camera, whoever watches.

    """

    def __init__(
        self,
        settings: EdgeSettings,
        connection: Connection,
        *,
        vitals: Callable[[], Vitals],
        picture: Callable[[], None],
    ) -> None:
        self._settings, self._vitals = settings, vitals
        self._manager = ServiceManager()
        self._home = HomeAssistant(
            connection,
            settings.state_folder.expanduser(),
            prefix=settings.home_assistant_prefix if settings.home_assistant else None,
            name=(settings.site, settings.device),
            hardware=hardware(),
            vitals=vitals,
            picture=picture,
            cameras=tuple(settings.cameras),
        )
        self._metrics: MetricsServer | None = None
        self._upkeep: Upkeep | None = None

    def start(self, threads: Sequence[threading.Thread], pulses: Mapping[str, Sequence[Pulse]]) -> None:
        """Say that the client is ready, and look after its threads and loops from now on."""
        settings = self._settings
        slowest = min((camera.fps for camera in settings.all_cameras() if camera.fps), default=None)
        liveness = Liveness(threads, pulses, patience_s=patience_s(self._manager.watchdog_s, slowest))
        if settings.metrics_port is not None:
            self._serve_metrics(settings.metrics_host, settings.metrics_port)
        self._upkeep = Upkeep(
            self._manager,
            fault=liveness.fault,
            status=self._status,
            refresh=self._home.refresh,
            refresh_s=settings.home_assistant_s,
        )
        self._upkeep.start()

    def announce(self) -> None:
        """Appear in Home Assistant, or vanish from it; to be called on each connect."""
        self._home.announce()

    def stop(self) -> None:
        """Say that the client stops on purpose."""
        if self._upkeep is not None:
            self._upkeep.stop()
        if self._metrics is not None:
            self._metrics.stop()

    def _serve_metrics(self, host: str, port: int) -> None:
        from slimcast_edge.client.metrics_server import MetricsServer

        metrics = MetricsServer(host, port, self._vitals)
        try:
            metrics.start()
        except OSError as error:  # figures are worth less than pictures: the camera goes on
            logger.error(
                "No figures for Prometheus: cannot listen on %s:%d (%s). Change metrics_port.",
                host,
                port,
                error,
            )
        else:
            self._metrics = metrics

    def _status(self) -> str:
        vitals = self._vitals()
        model = vitals.reported.active_name if vitals.reported and vitals.reported.active else "no model yet"
        fps = vitals.telemetry.fps if vitals.telemetry else 0.0
        link = "connected" if vitals.connected else "no broker"
        silent = [camera.name for camera in vitals.cameras if camera.trouble]
        blind = f", no frames from {', '.join(silent)}" if silent else ""
        return f"{model}, {fps:.1f} frames a second, {link}{blind}"

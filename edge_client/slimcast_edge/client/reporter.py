"""How the client fares: what telemetry, systemd, Prometheus and Home Assistant are told."""

import time
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np

from slimcast_edge.client.cameras import Cameras
from slimcast_edge.client.host import ClientHost
from slimcast_edge.client.outbox import Outbox
from slimcast_edge.client.traffic import most_frequent
from slimcast_edge.client.vitals import CameraVitals, Vitals
from slimcast_edge.mqtt import Connection
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.telemetry import rss_mb, temperature_c, throttled
from slimcast_edge.wire import ArtifactRef, CameraFigures, StreamReport, Telemetry

TROUBLE_CHARS = 100  # so that those of all cameras fit into one message


class Reporter:
    """Puts together what the parts of the client have counted.

    Attributes:
        offered: returns the artifact of the last order.

    """

    def __init__(
        self,
        settings: EdgeSettings,
        session: str,
        cameras: Cameras,
        outbox: Outbox,
        host: ClientHost,
        connection: Connection,
    ) -> None:
        self._settings, self._session, self._cameras = settings, session, cameras
        self._outbox, self._host, self._connection = outbox, host, connection
        self._started = time.monotonic()
        self._last: Telemetry | None = None
        self.offered: Callable[[], ArtifactRef | None] = lambda: None

    def telemetry(self, seconds: float) -> Telemetry:
        """Return how it went over the last so many seconds, and begin to count anew."""
        traffic = self._cameras.traffic
        counted = {name: one.take_latencies() for name, one in traffic.items()}
        latencies_ms = [latency for taken in counted.values() for latency in taken]
        p50, p90 = np.percentile(latencies_ms, (50, 90)) if latencies_ms else (0.0, 0.0)
        labels, labels_other = most_frequent(
            sum((one.take_labels() for one in traffic.values()), Counter[str]())
        )
        reports, (kept, lost) = self._outbox.reports(seconds), self._outbox.late
        self._last = Telemetry(
            session=self._session,
            at=time.time(),
            uptime_s=time.monotonic() - self._started,
            fps=len(latencies_ms) / seconds,
            latency_p50_ms=float(p50),
            latency_p90_ms=float(p90),
            frames=sum(one.frames for one in traffic.values()),
            dropped=sum(one.dropped for one in traffic.values()),
            rss_mb=rss_mb(),
            temperature_c=temperature_c(),
            throttled=throttled(),
            stream=together(reports.values()).model_copy(update={"kept": kept, "lost": lost}),
            labels=labels,
            labels_other=labels_other,
            cameras=self._figures({name: len(taken) / seconds for name, taken in counted.items()}, reports),
        )
        return self._last

    def vitals(self) -> Vitals:
        """Return how the client is now."""
        traffic = self._cameras.traffic.values()
        answers = [one.last for one in traffic if one.last is not None]
        newest = max(answers, key=lambda answer: answer.classified_at, default=None)
        return Vitals(
            site=self._settings.site,
            device=self._settings.device,
            session=self._session,
            telemetry=self._last,
            best=newest.predictions[0] if newest else None,
            reported=self._host.last_reported,
            offered=self.offered(),
            latencies_ms=tuple(latency for one in traffic for latency in one.recent_latencies_ms),
            latency_sum_s=sum(one.latency_sum_ms for one in traffic) / 1e3,
            frames=sum(one.frames for one in traffic),
            dropped=sum(one.dropped for one in traffic),
            connected=self._connection.connected,
            reconnects=self._connection.counters["reconnects"],
            cameras=self._camera_vitals(),
        )

    def _figures(self, fps: dict[str, float], reports: dict[str, StreamReport]) -> dict[str, CameraFigures]:
        troubles = self._cameras.troubles
        return {
            name: CameraFigures(
                fps=fps[name],
                frames=one.frames,
                dropped=one.dropped,
                trouble=troubles.get(name, "")[:TROUBLE_CHARS],
                stream=reports[name],
            )
            for name, one in self._cameras.traffic.items()
            if name
        }

    def _camera_vitals(self) -> tuple[CameraVitals, ...]:
        troubles, figures = self._cameras.troubles, self._last.cameras if self._last else {}
        return tuple(
            CameraVitals(
                name=name,
                trouble=troubles.get(name, ""),
                best=one.last.predictions[0] if one.last else None,
                fps=figures[name].fps if name in figures else 0.0,
                frames=one.frames,
                dropped=one.dropped,
            )
            for name, one in self._cameras.traffic.items()
            if name
        )


def together(reports: Collection[StreamReport]) -> StreamReport:
    """Return the streams of all cameras as one: rates added up, of all else what says how bad it is."""
    delays_ms = [report.delay_ms for report in reports if report.delay_ms is not None]
    return StreamReport(
        fps=sum(report.fps for report in reports),
        step=max(report.step for report in reports),
        max_fps=sum(report.max_fps for report in reports),
        quality=min(report.quality for report in reports),
        width=max(report.width for report in reports),
        delay_ms=max(delays_ms, default=None),
    )

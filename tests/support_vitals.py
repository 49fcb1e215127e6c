"""A client's state at one moment, for the tests of what shows it."""

from dataclasses import replace

from slimcast_edge.client.vitals import CameraVitals, Vitals
from slimcast_edge.wire import ArtifactRef, DeviceState, Prediction, Reported, Telemetry

SHA = "ab" * 32
VITALS = Vitals(
    site="lab",
    device="cam.1",
    session="s",
    telemetry=Telemetry(
        session="s",
        at=1.0,
        uptime_s=12.5,
        fps=14.96,
        latency_p50_ms=2.0,
        latency_p90_ms=3.0,
        frames=100,
        dropped=3,
        rss_mb=90.0,
        temperature_c=51.5,
        throttled=False,
    ),
    best=Prediction(label="six", index=6, score=0.987),
    reported=Reported(
        session="s",
        revision=4,
        state=DeviceState.DOWNLOADING,
        active=SHA,
        active_name='a "b"',
        progress=0.5,
        at=1.0,
    ),
    offered=ArtifactRef(sha256="cd" * 32, size_bytes=10, chunk_bytes=1024, name="new"),
    latencies_ms=(1.0, 2.0, 3.0),
    latency_sum_s=0.25,
    frames=100,
    dropped=3,
    connected=True,
    reconnects=2,
)
EMPTY = replace(VITALS, telemetry=None, best=None, reported=None, offered=None, latencies_ms=(), frames=0)

TWO_CAMERAS = replace(
    VITALS,
    cameras=(
        CameraVitals(name="left.1", trouble="", best=VITALS.best, fps=9.96, frames=60, dropped=1),
        CameraVitals(name="left-1", trouble="Unplugged.", best=None, fps=0.0, frames=40, dropped=2),
    ),
)

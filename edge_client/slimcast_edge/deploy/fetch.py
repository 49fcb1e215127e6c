"""Pulls an artifact: asks for a window of chunks, waits for them, asks again for what did not come."""

import time
from collections.abc import Callable

from slimcast_edge.deploy.download import Download
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.wire import WINDOW_CHUNKS, Want

_REPORT_EVERY_S = 0.5
_LOOK_EVERY_S = 0.25
_LONGEST_WINDOW_S = 1.0


class Superseded(Exception):
    """A newer order has come, or the client stops: what has arrived is kept."""


def fetch(
    download: Download,
    *,
    host: ChunkSource,
    options: DeployOptions,
    give_way: Callable[[], bool],
    tell: Callable[[float], None],
) -> None:
    """Return once all chunks are there.

    Args:
        download: what is to be completed.
        host: asks for chunks.
        options: how long to wait.
        give_way: whether to stop now.
        tell: called now and then with the share that is there.

    Raises:
        OSError: what arrives cannot be written.
        ArtifactError: nobody sent anything for `stall_s` while the broker could be reached.
        Superseded: `give_way` said so.

    """
    pace = _Pace(options.max_download_kbps, download.ref.chunk_bytes)
    silent_since = reported_at = time.monotonic()
    while not download.complete:
        if download.problem is not None:
            raise download.problem
        if not host.connected:
            silent_since = time.monotonic()  # nobody can be blamed for silence without a broker
        left = download.missing_count
        if host.connected:
            chunks = download.missing(pace.window)
            host.ask(Want(artifact=download.ref.sha256, chunk_bytes=download.ref.chunk_bytes, chunks=chunks))
        _wait(download, max(1, left - pace.window + 1), max(options.reask_s, pace.window_s), give_way)
        _sleep(pace.debt_s(left - download.missing_count), give_way)
        if download.missing_count < left:
            silent_since = time.monotonic()
        elif time.monotonic() - silent_since > options.stall_s:
            raise ArtifactError(
                Refusal.DOWNLOAD_STALLED,
                f"Nobody sent {left} of {download.ref.chunks} chunks in {options.stall_s:.0f} s. "
                "Is the studio running? What has arrived is kept.",
            )
        if time.monotonic() - reported_at > _REPORT_EVERY_S:
            reported_at = time.monotonic()
            tell(download.progress)


class _Pace:
    """Keeps a download below a rate: fewer chunks at a time, and a pause behind those that came too fast."""

    def __init__(self, kbps: float | None, chunk_bytes: int) -> None:
        self._chunk_s = 8 * chunk_bytes / (1000 * kbps) if kbps else 0.0
        fits = int(_LONGEST_WINDOW_S / self._chunk_s) if self._chunk_s else WINDOW_CHUNKS
        self.window = max(1, min(WINDOW_CHUNKS, fits))
        self.window_s = self.window * self._chunk_s
        self._paid_until = time.monotonic()

    def debt_s(self, received: int) -> float:
        """Return how long to wait before the next chunks, s, now that some more have come."""
        now = time.monotonic()
        # What was not used in a pause of the network's own is not saved up.
        self._paid_until = max(self._paid_until, now - self.window_s) + received * self._chunk_s
        return max(0.0, self._paid_until - now)


def _sleep(seconds: float, give_way: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if give_way():
            raise Superseded
        time.sleep(min(_LOOK_EVERY_S, left))


def _wait(download: Download, missing: int, seconds: float, give_way: Callable[[], bool]) -> None:
    """Wait until fewer than `missing` chunks are missing; look up now and then."""
    end = time.monotonic() + seconds
    while not give_way():
        left = end - time.monotonic()
        if download.wait_below(missing, min(_LOOK_EVERY_S, max(0.0, left))):
            return
        if left <= 0:
            return
    raise Superseded

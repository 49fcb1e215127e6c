"""Pulls an artifact: asks for a window of chunks, waits for them, asks again for what did not come."""

import time
from collections.abc import Callable

from slimcast_edge.deploy.download import Download
from slimcast_edge.deploy.port import DeployOptions, Host
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.wire import WINDOW_CHUNKS, Want

_REPORT_EVERY_S = 0.5
_LOOK_EVERY_S = 0.25


class Superseded(Exception):
    """A newer order has come, or the client stops: what has arrived is kept."""


def fetch(
    download: Download,
    *,
    host: Host,
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
        ArtifactError: nobody sent anything for `stall_s` while the broker could be reached.
        Superseded: `give_way` said so.

    """
    silent_since = reported_at = time.monotonic()
    while not download.complete:
        if not host.connected:
            silent_since = time.monotonic()  # nobody can be blamed for silence without a broker
        left = download.missing_count
        if host.connected:
            chunks = download.missing(WINDOW_CHUNKS)
            host.ask(Want(artifact=download.ref.sha256, chunk_bytes=download.ref.chunk_bytes, chunks=chunks))
        _wait(download, max(1, left - WINDOW_CHUNKS + 1), options.reask_s, give_way)
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

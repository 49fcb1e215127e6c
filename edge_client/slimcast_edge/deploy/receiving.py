"""Receives one artifact at a time: asks for its chunks, takes them as they come, checks the whole file."""

from collections.abc import Callable
from pathlib import Path

from slimcast_edge.deploy.download import Download
from slimcast_edge.deploy.fetch import fetch
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.wire import ArtifactRef


class Receiving:
    """`receive` belongs to one thread; `chunk` and `close` may come from others.

    Args:
        folder: for what is under way. source: asks for chunks. options: how long to wait for them.

    """

    def __init__(self, folder: Path, source: ChunkSource, options: DeployOptions) -> None:
        self._folder, self._source, self._options = folder, source, options
        self._download: Download | None = None

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        download = self._download
        return download is not None and download.ref.sha256 == sha256 and download.add(number, data)

    def close(self) -> None:
        """Let `receive` return soon; what has arrived stays."""
        download = self._download
        if download is not None:
            download.close()

    def receive(
        self,
        ref: ArtifactRef,
        target: Path,
        *,
        give_way: Callable[[], bool],
        tell: Callable[[float], None],
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """Return once the whole file lies at `target`, its hash checked.

        Args:
            ref: what is to come. target: where to.
            give_way: whether to stop now.
            tell: called now and then with the share that is there.
            arrived: called once all of it is, before its hash is checked.

        Raises:
            ArtifactError: it did not come, or other bytes came.
            OSError: it cannot be written.
            Superseded: `give_way` said so.

        """
        self._download = Download(self._folder, ref)
        try:
            self._source.listen(ref.sha256, True)
            fetch(self._download, host=self._source, options=self._options, give_way=give_way, tell=tell)
            arrived()
            self._download.finish(target)
        finally:
            self._source.listen(ref.sha256, False)
            self._download.close()
            self._download = None

"""Has the artifact that is ordered on the disk, whole and checked; each step goes into the record."""

import logging
from collections.abc import Callable
from pathlib import Path

from slimcast_edge.artifact_file import check_file
from slimcast_edge.deploy.download import Download, check_room, forget_others, hash_file
from slimcast_edge.deploy.fetch import fetch
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.deploy.record import Record
from slimcast_edge.deploy.state import StateFolder
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.wire import ArtifactRef, DeviceState

logger = logging.getLogger(__name__)


class Delivery:
    """Fetches what is ordered, one artifact at a time. `chunk` and `close` may come from other threads."""

    def __init__(
        self, folder: StateFolder, source: ChunkSource, options: DeployOptions, record: Record
    ) -> None:
        self._folder, self._source, self._options, self._record = folder, source, options, record
        self._download: Download | None = None

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        download = self._download
        return download is not None and download.ref.sha256 == sha256 and download.add(number, data)

    def close(self) -> None:
        """Let `have` return soon; what has arrived stays."""
        download = self._download
        if download is not None:
            download.close()

    def have(self, ref: ArtifactRef, path: Path, give_way: Callable[[], bool]) -> None:
        """Return once the whole artifact lies at `path`, its hash and its content checked.

        Raises:
            ArtifactError: it is refused, too large, or did not come.
            OSError: it cannot be written.
            Superseded: `give_way` said so.

        """
        if path.exists():
            self._record.step(DeviceState.VERIFYING)
            if hash_file(path) == ref.sha256:
                check_file(path)
                return
            path.unlink()
        if ref.size_bytes > self._options.max_artifact_bytes:
            limit = self._options.max_artifact_bytes / 1e6
            message = (
                f"The artifact has {ref.size_bytes / 1e6:.1f} MB; this device takes at most {limit:.1f} MB."
            )
            raise ArtifactError(Refusal.TOO_LARGE, message)
        forget_others(self._folder.downloads, ref.sha256)
        try:
            self._receive(ref, path, give_way)
        except ArtifactError as error:
            # What a power cut left behind, or one bad chunk, may have spoilt it: once more, from scratch.
            if error.reason is not Refusal.WRONG_HASH:
                raise
            logger.warning("%s Trying once more.", error)
            self._receive(ref, path, give_way)
        check_file(path)

    def _receive(self, ref: ArtifactRef, path: Path, give_way: Callable[[], bool]) -> None:
        check_room(self._folder.downloads, ref.size_bytes)
        self._record.step(DeviceState.DOWNLOADING)
        self._download = Download(self._folder.downloads, ref)
        try:
            self._source.listen(ref.sha256, True)
            fetch(
                self._download,
                host=self._source,
                options=self._options,
                give_way=give_way,
                tell=self._record.report,
            )
            self._record.step(DeviceState.VERIFYING)
            self._download.finish(path)
        finally:
            self._source.listen(ref.sha256, False)
            self._download.close()
            self._download = None

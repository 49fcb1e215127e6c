"""Has the artifact that is ordered on the disk, whole and checked; each step goes into the record."""

import logging
from collections.abc import Callable
from pathlib import Path

from slimcast_edge.artifact_file import check_file
from slimcast_edge.deploy.download import check_room, forget_others, hash_file
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.deploy.receiving import Receiving
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
        self._folder, self._options, self._record = folder, options, record
        self._receiving = Receiving(folder.downloads, source, options)

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        return self._receiving.chunk(sha256, number, data)

    def close(self) -> None:
        """Let `have` return soon; what has arrived stays."""
        self._receiving.close()

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
        self._receiving.receive(
            ref,
            path,
            give_way=give_way,
            tell=self._record.report,
            arrived=lambda: self._record.step(DeviceState.VERIFYING),
        )

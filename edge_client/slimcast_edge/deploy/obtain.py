"""Has a file on disk that a signed order names, without the deployment knowing of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from slimcast_edge.deploy.download import check_room, hash_file
from slimcast_edge.deploy.port import ChunkSource, DeployOptions
from slimcast_edge.deploy.receiving import Receiving
from slimcast_edge.wire import ArtifactRef


class Obtaining:
    """Fetches files into a folder of its own, one at a time; chunks come from another thread.

    Args:
        folder: for what is fetched. models: where the device's own models lie, by hash.
        host: asks for chunks. options: patience of downloads.

    """

    def __init__(
        self, folder: Path, models: Callable[[str], Path], host: ChunkSource, options: DeployOptions
    ) -> None:
        self._folder, self._models = folder, models
        self._receiving = Receiving(folder, host, options)

    def empty(self) -> None:
        """Begin with an empty folder, whatever an earlier start has left there."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Take a chunk; False where it is none of what is being fetched."""
        return self._receiving.chunk(sha256, number, data)

    def obtain(
        self,
        ref: ArtifactRef,
        give_way: Callable[[], bool],
        tell: Callable[[float], None] = lambda _progress: None,
    ) -> Path:
        """Return the file, its hash checked; what the device has is taken from there.

        Raises:
            OSError: it cannot be written. ArtifactError: it did not come, or other bytes came.
            Superseded: `give_way` said so.

        """
        own = self._models(ref.sha256)
        if own.exists() and hash_file(own) == ref.sha256:
            return own
        target = self._folder / f"{ref.sha256}.onnx"
        check_room(self._folder, ref.size_bytes)
        self._receiving.receive(ref, target, give_way=give_way, tell=tell)
        return target

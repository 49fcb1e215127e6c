"""What a runtime can do."""

from typing import Protocol

import numpy as np

from slimcast_edge.artifact import ArtifactInfo


class Runtime(Protocol):
    """A model that is opened and ready. Used by one thread at a time.

    Attributes:
        info: what the artifact says of itself. provider: what executes it, such as ``CPUExecutionProvider``.
        reason: why that one, in words. version: name and version of the library.
        threads: how many threads compute.

    """

    info: ArtifactInfo
    provider: str
    reason: str
    version: str
    threads: int

    def run(self, images: np.ndarray) -> np.ndarray:
        """Classify images, uint8 (N, H, W, C): logits, float32 (N, K).

        Raises:
            RuntimeFailure: the images have another shape, or the execution failed.

        """

    def close(self) -> None:
        """Let go of the model; it cannot run any more."""

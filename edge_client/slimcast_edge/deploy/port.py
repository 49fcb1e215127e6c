"""What the deployment needs of the process that it lives in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.wire import Desired, Event, Reported, Want


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """Patience and limits of the deployment.

    Attributes:
        probation_s: how long a new model is watched; up to four times as long when there are few frames.
        probation_frames: how many frames it must have classified.
        probation_errors: as many failures end the probation.
        min_fps_ratio: smallest share of the old frame rate that a model which is slower may have.
        reask_s: silence after which missing chunks are asked for again.
        stall_s: silence that ends a download.
        max_artifact_bytes: larger ones are refused.
        max_download_kbps: what a download may take of the network, 1000 bits a second; None: all there is.

    """

    probation_s: float = 5.0
    probation_frames: int = 30
    probation_errors: int = 3
    min_fps_ratio: float = 0.5
    reask_s: float = 2.0
    stall_s: float = 30.0
    max_artifact_bytes: int = 512 << 20
    max_download_kbps: float | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """How the current model has been doing since it was swapped in.

    Attributes:
        seconds: since then. captured: frames that the camera gave. classified: frames answered by this model.
        errors: frames on which it failed. last_error: in words.
        latency_ms: median, preprocessing included. fps: frames answered a second, since then.
        before_latency_ms, before_fps: the same of the model before, 0 where there was none.

    """

    seconds: float
    captured: int
    classified: int
    errors: int
    last_error: str
    latency_ms: float
    fps: float
    before_latency_ms: float = 0.0
    before_fps: float = 0.0


class ChunkSource(Protocol):
    """Where chunks are asked for; they arrive elsewhere."""

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached."""

    def ask(self, want: Want) -> None:
        """Ask for chunks."""

    def listen(self, sha256: str, on: bool) -> None:
        """Start or stop to receive the chunks of an artifact."""


class Host(ChunkSource, Protocol):
    """The running client, as the deployment sees it."""

    def report(self, reported: Reported) -> None:
        """Publish the state."""

    def tell(self, event: Event) -> None:
        """Publish an event."""

    def obey(self, order: Desired) -> None:
        """Stream, and let the cameras look, as an order says from now on."""

    def swap(self, path: Path, entry: ModelEntry) -> None:
        """Open and warm a model, then let it take over between two frames.

        Raises:
            ArtifactError, RuntimeFailure: it cannot be opened; the old one goes on.

        """

    def unload(self) -> None:
        """Stop classifying: there is no model any more."""

    def settle(self) -> None:
        """Let go of the model that was swapped out."""

    def health(self) -> Health:
        """Return how the current model is doing."""


@dataclass(frozen=True, kw_only=True)
class TrialPassed:
    """A model that opened, gave the golden answers, and took this long for one image."""

    latency_ms: float


Trial = Callable[[Path], TrialPassed]
"""Tries a model where it can do no harm; raises `ArtifactError` with the reason when it fails."""

"""What all payloads have in common, and the limits that they keep to."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CHUNK_BYTES = 128 * 1024
MAX_ARTIFACT_BYTES = 1 << 30
MAX_FRAME_BYTES = 900_000
MAX_STATE_BYTES = 4096
MAX_TELEMETRY_BYTES = 8192
MAX_ANNOUNCEMENT_BYTES = 32_768
MAX_LAYERS = 64
"""Layers that one command may have timed: their figures fit into one reply."""
MAX_LABELS, MAX_LABEL_BYTES = 200, 2048
"""What the labels of one telemetry message may take, encoded; half of what the message may."""
WINDOW_CHUNKS = 8
"""How many chunks a device asks for at a time: 1 MiB, far below what a broker queues before it drops."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
MAX_CAMERAS = 8
"""How many cameras one device may have: their figures fit into one message."""

CameraName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
"""Name of one of several cameras of a device."""
WhichCamera = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})?$")]
"""The same; empty for a device with one camera, which needs no name."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Payload(BaseModel):
    """A JSON payload. Unknown fields are ignored, so that old devices and new studios get along."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def encode(self) -> bytes:
        """Return the bytes to publish."""
        return self.model_dump_json().encode()

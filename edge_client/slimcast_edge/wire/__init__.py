"""The wire protocol: topics, payloads and their limits. Reference: docs/protocol.md.

MQTT 3.1.1 is enough. Root ``slimcast/v1/<site>/``; the device stands at a fixed level, so that one ACL
pattern covers it. State is retained, commands never are. Payloads are JSON but for frames (JPEG) and chunks
(bytes).
"""

from slimcast_edge.wire.codec import canonical_json, check_size, decode
from slimcast_edge.wire.commands import (
    Command,
    LayerBundle,
    LayerFigures,
    Measure,
    Measured,
    ModelFigures,
    Reply,
    ViewLease,
)
from slimcast_edge.wire.payload import (
    CHUNK_BYTES,
    MAX_ANNOUNCEMENT_BYTES,
    MAX_FRAME_BYTES,
    MAX_LABEL_BYTES,
    MAX_LABELS,
    MAX_LAYERS,
    MAX_STATE_BYTES,
    WINDOW_CHUNKS,
    Name,
    Payload,
    Sha256,
)
from slimcast_edge.wire.results import Event, EventKind, Prediction, Result, StreamReport, Summary, Telemetry
from slimcast_edge.wire.state import (
    About,
    ArtifactRef,
    CameraView,
    Desired,
    DeviceState,
    Reported,
    SnapshotRule,
    Status,
    StreamSettings,
    Want,
)
from slimcast_edge.wire.topics import TOPICS, Address, Suffix, TopicInfo, blob_topic, parse_topic, root, topic

__all__ = [
    "CHUNK_BYTES",
    "MAX_ANNOUNCEMENT_BYTES",
    "MAX_FRAME_BYTES",
    "MAX_LABELS",
    "MAX_LABEL_BYTES",
    "MAX_LAYERS",
    "MAX_STATE_BYTES",
    "TOPICS",
    "WINDOW_CHUNKS",
    "About",
    "Address",
    "ArtifactRef",
    "CameraView",
    "Command",
    "Desired",
    "DeviceState",
    "Event",
    "EventKind",
    "LayerBundle",
    "LayerFigures",
    "Measure",
    "Measured",
    "ModelFigures",
    "Name",
    "Payload",
    "Prediction",
    "Reply",
    "Reported",
    "Result",
    "Sha256",
    "SnapshotRule",
    "Status",
    "StreamReport",
    "StreamSettings",
    "Suffix",
    "Summary",
    "Telemetry",
    "TopicInfo",
    "ViewLease",
    "Want",
    "blob_topic",
    "canonical_json",
    "check_size",
    "decode",
    "parse_topic",
    "root",
    "topic",
]

"""The topics: what each carries, and how its name is made and read."""

import re
from dataclasses import dataclass
from typing import Literal

from slimcast_edge.errors import WireError
from slimcast_edge.wire.commands import Command, Compare, Measure, Reply, ViewLease
from slimcast_edge.wire.payload import (
    CHUNK_BYTES,
    MAX_FRAME_BYTES,
    MAX_STATE_BYTES,
    MAX_TELEMETRY_BYTES,
    Payload,
)
from slimcast_edge.wire.results import Event, Result, Summary, Telemetry
from slimcast_edge.wire.state import About, Desired, Reported, Status, Want

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Suffix = Literal[
    "status",
    "about",
    "desired",
    "reported",
    "want",
    "frame",
    "snapshot",
    "result",
    "telemetry",
    "summary",
    "event",
]


@dataclass(frozen=True, kw_only=True)
class TopicInfo:
    """One row of the protocol: topic below the device, payload, quality of service, size limit in bytes."""

    suffix: str
    payload: type[Payload] | None
    retained: bool
    qos: Literal[0, 1]
    max_bytes: int

    @property
    def from_studio(self) -> bool:
        """Whether the studio writes it; all else comes from devices. The broker's ACL is made from this."""
        return self.suffix in {"desired", "blob"} or self.suffix.startswith("cmd/")

    @property
    def has_tail(self) -> bool:
        """Whether one more level follows: the id of a reply, the name of a camera."""
        return self.suffix in {"reply", "camera"}


TOPICS = {
    info.suffix: info
    for info in (
        TopicInfo(suffix="status", payload=Status, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="about", payload=About, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="desired", payload=Desired, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="reported", payload=Reported, retained=True, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="want", payload=Want, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="frame", payload=None, retained=False, qos=0, max_bytes=MAX_FRAME_BYTES),
        TopicInfo(suffix="camera", payload=None, retained=False, qos=0, max_bytes=MAX_FRAME_BYTES),
        TopicInfo(suffix="snapshot", payload=None, retained=False, qos=1, max_bytes=MAX_FRAME_BYTES),
        TopicInfo(suffix="result", payload=Result, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(
            suffix="telemetry", payload=Telemetry, retained=False, qos=0, max_bytes=MAX_TELEMETRY_BYTES
        ),
        TopicInfo(suffix="summary", payload=Summary, retained=False, qos=0, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="event", payload=Event, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/view", payload=ViewLease, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/benchmark", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/measure", payload=Measure, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/compare", payload=Compare, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/snapshot", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="cmd/rollback", payload=Command, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="reply", payload=Reply, retained=False, qos=1, max_bytes=MAX_STATE_BYTES),
        TopicInfo(suffix="blob", payload=None, retained=False, qos=0, max_bytes=CHUNK_BYTES),
    )
}
"""Every topic. ``reply`` is followed by the command's id, ``camera`` (a frame of one of several cameras) by
its name; ``blob`` stands below the site."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A topic taken apart. For chunks `device` is the artifact's sha256 and `tail` the chunk's number."""

    site: str
    device: str
    suffix: str
    tail: str = ""


def root(site: str) -> str:
    """Return the topic below which everything of a site lies.

    Raises:
        WireError: the site's name has a character that a topic or an ACL cannot carry.

    """
    return f"slimcast/v1/{_checked_name(site)}"


def topic(site: str, device: str, suffix: str, tail: str = "") -> str:
    """Return a device's topic, such as ``slimcast/v1/lab/cam1/status``; `tail`: see `TopicInfo.has_tail`."""
    if suffix not in TOPICS:
        raise WireError(f"No topic {suffix!r}. Known: {', '.join(TOPICS)}.")
    name = device if device == "+" else _checked_name(device)
    return f"{root(site)}/{name}/{suffix}" + (f"/{tail}" if tail else "")


def blob_topic(site: str, sha256: str, chunk: int | Literal["+"]) -> str:
    """Return the topic of one chunk of an artifact (``+`` for all of them)."""
    if not _SHA256.fullmatch(sha256):
        raise WireError(f"{sha256[:80]!r} is no sha256 in lower-case hexadecimal.")
    return f"{root(site)}/blob/{sha256}/{chunk}"


def client_id(site: str, device: str) -> str:
    """Return the name under which a device connects to the broker."""
    return f"slimcast-{site}-{device}"


def parse_topic(text: str) -> Address:
    """Take a topic apart.

    Raises:
        WireError: it is none of ours.

    """
    parts = text.split("/")
    if len(parts) < 5 or parts[:2] != ["slimcast", "v1"]:
        raise WireError(f"{text[:200]!r} is no topic of ours.")
    site, device, suffix = parts[2], parts[3], "/".join(parts[4:])
    if device == "blob" and len(parts) == 6 and _SHA256.fullmatch(parts[4]) and parts[5].isdecimal():
        return Address(site=site, device=parts[4], suffix="blob", tail=parts[5])
    if not _NAME.fullmatch(device):
        raise WireError(f"{text[:200]!r} is no topic of ours.")
    if parts[4] in TOPICS and TOPICS[parts[4]].has_tail and len(parts) == 6 and _NAME.fullmatch(parts[5]):
        return Address(site=site, device=device, suffix=parts[4], tail=parts[5])
    if suffix not in TOPICS or suffix == "blob" or TOPICS[suffix].has_tail:
        raise WireError(f"{text[:200]!r} is no topic of ours.")
    return Address(site=site, device=device, suffix=suffix)


def _checked_name(name: str) -> str:
    # "blob" is the one level below a site that is no device.
    if not _NAME.fullmatch(name) or name == "blob":
        raise WireError(
            f"{name[:80]!r} cannot be a site or device: use 1 to 64 of the characters A-Z a-z 0-9 _ . - , "
            "a letter or digit first, and not the word 'blob'."
        )
    return name

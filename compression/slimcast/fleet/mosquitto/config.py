"""Mosquitto's configuration and the rights of each role, derived from the topics of the wire."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from slimcast_edge import wire

STUDIO = "studio"
"""User of the studio at the broker; no device may have this name."""
HOME_ASSISTANT = "home-assistant"
"""User of Home Assistant, which may look and not order; no device may have this name either."""
_SHOWN_AT_HOME = ("status", "summary", "frame", "camera")
MESSAGE_BYTES = 1_000_000
"""Frames have at most 900 kB and chunks 128 KiB; nothing larger is ours."""
QUEUED_MESSAGES = 1000
_DENIED = "\n# Expelled devices.\n"


@dataclass(frozen=True, kw_only=True)
class BrokerPlan:
    """What the broker is to be.

    Attributes:
        site: whose topics the users may use.
        folder: where the broker finds its files: not where they were written, if it runs in a container.
        port: where it listens. tls: with encryption, and a certificate of its own.
        client_certificates: whoever connects proves a name by a certificate instead of a password.
        persistence: folder in which it keeps retained state over a restart.
        reloadable: it notes its process number in ``run/``, so that the studio can have it read passwords.

    """

    site: str
    folder: PurePosixPath
    port: int = 8883
    tls: bool = True
    client_certificates: bool = False
    persistence: str = "/var/lib/mosquitto/"
    reloadable: bool = True


def render_config(plan: BrokerPlan) -> str:
    """Return the text of ``mosquitto.conf``."""
    at = plan.folder
    lines = [
        "# Written by `slimcast broker-config`, which replaces it; put additions into a second file.",
        f"listener {plan.port}",
        "allow_anonymous false",
        f"acl_file {at / 'acl'}",
    ]
    if plan.tls:
        lines += [
            f"cafile {at / 'ca.pem'}",
            f"certfile {at / 'server.pem'}",
            f"keyfile {at / 'server-key.pem'}",
            "tls_version tlsv1.2",
        ]
    if plan.client_certificates:
        lines += ["require_certificate true", "use_identity_as_username true"]
    else:
        lines += [f"password_file {at / 'passwords'}"]
    if plan.reloadable:
        lines += [f"pid_file {at / 'run' / 'mosquitto.pid'}"]
    lines += [
        "persistence true",
        f"persistence_location {plan.persistence}",
        "# Frames have at most 900 kB and chunks 128 KiB; nothing larger is ours.",
        f"max_packet_size {MESSAGE_BYTES}",
        f"max_queued_messages {QUEUED_MESSAGES}",
        f"max_queued_bytes {32 * MESSAGE_BYTES}",
    ]
    return "\n".join(lines) + "\n"


def render_acl(site: str) -> str:
    """Return the text of the ACL file: one pattern a topic, which covers every device by its user name.

    Raises:
        WireError: the site's name cannot stand in a topic.
    """
    root = wire.root(site)
    lines = [
        "# Written by `slimcast broker-config` from the topics of the wire protocol (docs/protocol.md).",
        "# A device's user name is its name in the topics: %u stands for it.",
        *(f"pattern write {root}/%u/{_filter(row)}" for row in wire.TOPICS.values() if not row.from_studio),
        # Its own status, so that it can correct a will that comes late.
        f"pattern read {root}/%u/status",
        f"pattern read {root}/%u/desired",
        f"pattern read {root}/%u/cmd/#",
        f"pattern read {root}/blob/#",
        "# With the setting home_assistant a device makes itself known there.",
        "pattern write homeassistant/device/%u/+/config",
        "",
        f"user {HOME_ASSISTANT}",
        "topic read homeassistant/#",
        "topic readwrite homeassistant/status",
        *(f"topic read {root}/+/{_filter(wire.TOPICS[suffix])}" for suffix in _SHOWN_AT_HOME),
        "",
        f"user {STUDIO}",
        f"topic readwrite {root}/#",
    ]
    return "\n".join(lines) + "\n"


def with_denied(acl: str, names: Iterable[str]) -> str:
    """Return the text of an ACL file in which just these users may do nothing, whatever a pattern says."""
    kept = acl.partition(_DENIED)[0]
    blocks = [f"\nuser {name}\ntopic deny #\n" for name in sorted(names)]
    return kept + _DENIED * bool(blocks) + "".join(blocks)


def denied(acl: str) -> list[str]:
    """Return the users that may do nothing by an ACL file's text."""
    lines = acl.partition(_DENIED)[2].splitlines()
    return [line.removeprefix("user ") for line in lines if line.startswith("user ")]


def _filter(row: wire.TopicInfo) -> str:
    return f"{row.suffix}/+" if row.has_tail else row.suffix

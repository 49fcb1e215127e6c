"""Enrols this device at a studio: sends the code's proof, checks the answer, keeps what it says."""

import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from slimcast_edge.broker_address import is_loopback, parse_url
from slimcast_edge.deploy.pinned import KeyRing
from slimcast_edge.durable import write_durably
from slimcast_edge.errors import EnrolmentError, SettingsError
from slimcast_edge.exchange import MAX_ANSWER_BYTES, PATH, DeviceSide, Welcome, read_code
from slimcast_edge.settings import ENROLMENT_FILE, EdgeSettings, load_settings
from slimcast_edge.signing import fingerprint, public_key_from_text

TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """What has come of it.

    Attributes:
        folder: where it is kept.
        warnings: settings of the device's own that stand against it, in sentences.

    """

    site: str
    device: str
    broker: str
    fingerprint: str
    folder: Path
    warnings: tuple[str, ...]


def enrol(config: Path | None, studio: str, code: str, *, keep_other_keys: bool = False) -> Enrolled:
    """Fetch what the studio has to say, pin its key, and keep the rest in the state folder.

    Args:
        config: settings of the device.
        studio: where its web app is, such as ``http://studio.local:8501``.
        code: as the studio shows it.
        keep_other_keys: pin the studio's key beside those that are pinned.

    Raises:
        SettingsError: the address or the settings are wrong, or the state folder cannot be written.
        SignatureError: the code is none, or the answer does not come from who made it.
        EnrolmentError: the studio cannot be reached or does not take the code.

    """
    settings = load_settings(config)
    host = _host(studio)
    side = DeviceSide(read_code(code))
    welcome = side.open(_ask(studio, side.request.model_dump_json().encode()))
    if welcome.only_here and not is_loopback(host):
        raise EnrolmentError(
            "The studio's own broker takes connections from its machine only, so this device could not use "
            "it. Run Mosquitto for the studio (docs/security.md), then enrol with a new code."
        )
    broker = _reachable(welcome.broker, host)
    key = public_key_from_text(welcome.key)
    ring = KeyRing(settings.key_file)
    _keep(settings.state_folder.expanduser(), welcome, broker)
    (ring.add if keep_other_keys else ring.pin_only)(key)
    _hand_over(settings.key_file)
    return Enrolled(
        site=welcome.site,
        device=welcome.device,
        broker=broker,
        fingerprint=fingerprint(key),
        folder=settings.state_folder.expanduser(),
        warnings=_contradictions(load_settings(config), welcome, broker),
    )


def _host(studio: str) -> str:
    try:
        parts = urlsplit(studio)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise SettingsError(f"{studio[:200]!r} is no address of a studio. Expected http://HOST:8501")
    return host


def _ask(studio: str, body: bytes) -> bytes:
    parts = urlsplit(studio)
    url = urlunsplit((parts.scheme, parts.netloc, PATH, "", ""))
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read(MAX_ANSWER_BYTES + 1024))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(600).decode(errors="replace").strip()
        said = text if error.headers.get_content_type() == "text/plain" and text else f"status {error.code}"
        raise EnrolmentError(f"The studio at {studio} refuses: {said}") from error
    except (OSError, HTTPException) as error:  # URLError among them
        why = getattr(error, "reason", None) or error
        raise EnrolmentError(f"The studio at {studio} cannot be reached: {_explained(why)}") from error


def _explained(why: object) -> str:
    if isinstance(why, ssl.SSLError):
        return f"{why}. Write http://: the code protects the exchange by itself."
    if isinstance(why, socket.gaierror):
        return "no host has that name. Its address, such as http://192.168.1.10:8501, needs no name server."
    if isinstance(why, ConnectionRefusedError):
        return (
            "nothing listens there. Does it run, and is that its port? A studio that other machines are to "
            "reach is started with SLIMCAST_HOST=0.0.0.0."
        )
    if isinstance(why, TimeoutError):
        return "no answer in time. Is that a studio's address, and does a firewall let it through?"
    return f"{getattr(why, 'strerror', None) or why}."


def _reachable(broker: str, studio_host: str) -> str:
    """Return the broker's address as this device can use it: "localhost" is the studio's machine."""
    address = parse_url(broker)
    if not is_loopback(address.host) or is_loopback(studio_host):
        return broker
    host = f"[{studio_host}]" if ":" in studio_host else studio_host
    return f"{'mqtts' if address.tls else 'mqtt'}://{host}:{address.port}"


def _keep(folder: Path, welcome: Welcome, broker: str) -> None:
    document: dict[str, Any] = {"site": welcome.site, "device": welcome.device, "broker": broker}
    if welcome.user:
        document |= {"broker_user": welcome.user, "broker_password": welcome.password}
    files = {"ca": welcome.ca, "certificate": welcome.certificate, "key": welcome.private_key}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / f"broker-{name}.pem"
            if text:
                _write_secret(path, text)
                document[f"broker_{name}_file"] = str(path.absolute())
        _write_secret(folder / ENROLMENT_FILE, json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise SettingsError(f"Cannot write to the state folder {folder}: {error}.") from error


def _write_secret(path: Path, text: str) -> None:
    write_durably(path, text.encode(), mode=0o600)
    _hand_over(path)


def _hand_over(path: Path) -> None:
    # Run by root for a service that is not root: the file belongs to whom the folder belongs to.
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _contradictions(settings: EdgeSettings, welcome: Welcome, broker: str) -> tuple[str, ...]:
    said = {"site": welcome.site, "device": welcome.device, "broker": broker}
    return tuple(
        f"The settings name another {name} than the studio ({value}), and they win. "
        f"Remove `{name}` from them."
        for name, value in said.items()
        if getattr(settings, name) != value
    )

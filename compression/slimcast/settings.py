"""Settings of the studio: read from the environment once, at the edge, and passed on as a value."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode

from platformdirs import user_data_path

from slimcast_edge.broker_address import BrokerAccess, BrokerAddress, is_loopback, parse_url
from slimcast_edge.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where things are. Each field has its environment variable in docs/settings.md.

    Attributes:
        home: all state: database, artifacts, keys, logs.
        data_root: data sets. weights_root: pretrained weights.
        database_url: SQLAlchemy URL. artifact_url: fsspec URL of the artifact folder.
        broker_url: ``mqtt://[user:password@]host[:port]``; empty means the embedded broker.
        broker_access: user, password and certificates that do not stand in the URL.
        broker_folder: what `slimcast broker-config` wrote: there the studio gives devices their passwords.
        broker_port: port of the embedded broker on 127.0.0.1.
        site: first level of every topic below ``slimcast/v1``.
        dask_scheduler: address of a Dask scheduler; empty means an embedded one.
        alert_offline_s: how long a device may be silent before an alert opens, s. alert_hot_c: the
            temperature from which it is hot, degrees Celsius.
        host, port: where the web app listens. token: what a browser must present; empty means none is asked
            for on 127.0.0.1, and one is generated elsewhere.
        allowed_users: who may sign in with an identity provider: e-mail addresses, ``@domain`` or ``*``,
            with commas between them; empty means that the token alone counts.
    """

    home: Path
    data_root: Path
    weights_root: Path
    database_url: str
    artifact_url: str
    broker_url: str
    broker_port: int
    site: str
    dask_scheduler: str
    host: str
    port: int
    token: str = field(repr=False)
    broker_access: BrokerAccess = field(default_factory=BrokerAccess)
    broker_folder: Path | None = None
    alert_offline_s: float = 300.0
    alert_hot_c: float = 80.0
    allowed_users: str = ""

    @property
    def keys_folder(self) -> Path:
        """Folder of the studio's signing key."""
        return self.home / "keys"

    @property
    def logs_folder(self) -> Path:
        """Folder of one log file for each job."""
        return self.home / "logs"

    @property
    def effective_broker_url(self) -> str:
        """The broker that everybody connects to, embedded or not."""
        return self.broker_url or f"mqtt://127.0.0.1:{self.broker_port}"

    def broker_address(self) -> BrokerAddress:
        """Return that broker, who the studio is there, and whom it trusts.

        Raises:
            SettingsError: the URL is none, a file cannot be read, or a setting lacks the one that it needs.
        """
        if not self.broker_url:
            return parse_url(self.effective_broker_url)
        return self.broker_access.address(self.broker_url)

    def with_token(self) -> "Settings":
        """Return settings with the token to ask for: the one set, none on loopback, a fresh one elsewhere."""
        if self.token or is_loopback(self.host):
            return self
        return replace(self, token=secrets.token_urlsafe(24))

    def web_url(self, page: str = "", *, from_here: bool = False) -> str:
        """Return the web app's address with its token: for other machines' browsers, or for this machine."""
        host = self.host
        if host in {"0.0.0.0", "::"}:  # everywhere; the name is the best that others can use
            host = "127.0.0.1" if from_here else socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        query = f"?{urlencode({'token': self.token})}" if self.token else ""
        return f"http://{host}:{self.port}/{page}{query}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Raises:
            SettingsError: a variable has a value that it cannot have.
        """
        env = os.environ if environment is None else environment
        home = (
            Path(env.get("SLIMCAST_HOME") or user_data_path("slimcast", appauthor=False))
            .expanduser()
            .resolve()
        )
        cache = Path("~/.cache/slimcast").expanduser()
        return cls(
            home=home,
            data_root=Path(env.get("SLIMCAST_DATA_ROOT") or cache / "data").expanduser().resolve(),
            weights_root=Path(env.get("SLIMCAST_WEIGHTS_ROOT") or cache / "weights").expanduser().resolve(),
            database_url=env.get("SLIMCAST_DATABASE_URL") or f"sqlite:///{home / 'slimcast.db'}",
            artifact_url=env.get("SLIMCAST_ARTIFACT_URL") or f"file://{home / 'artifacts'}",
            broker_url=env.get("SLIMCAST_BROKER_URL", ""),
            broker_port=_port(env, "SLIMCAST_BROKER_PORT", 1883),
            site=env.get("SLIMCAST_SITE") or "lab",
            dask_scheduler=env.get("SLIMCAST_DASK_SCHEDULER", ""),
            host=env.get("SLIMCAST_HOST") or "127.0.0.1",
            port=_port(env, "SLIMCAST_PORT", 8501),
            token=env.get("SLIMCAST_TOKEN", ""),
            broker_access=BrokerAccess(
                user=env.get("SLIMCAST_BROKER_USER", ""),
                password=env.get("SLIMCAST_BROKER_PASSWORD", ""),
                password_file=_path(env.get("SLIMCAST_BROKER_PASSWORD_FILE")),
                ca_file=_path(env.get("SLIMCAST_BROKER_CA_FILE")),
                certificate_file=_path(env.get("SLIMCAST_BROKER_CERTIFICATE_FILE")),
                key_file=_path(env.get("SLIMCAST_BROKER_KEY_FILE")),
            ),
            broker_folder=_path(env.get("SLIMCAST_BROKER_FOLDER")),
            alert_offline_s=_number(env, "SLIMCAST_ALERT_OFFLINE_S", 300.0, 10.0, 30 * 86400.0),
            alert_hot_c=_number(env, "SLIMCAST_ALERT_HOT_C", 80.0, 20.0, 150.0),
            allowed_users=env.get("SLIMCAST_ALLOWED_USERS", ""),
        )

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give a child process these same settings."""
        return {
            "SLIMCAST_HOME": str(self.home),
            "SLIMCAST_DATA_ROOT": str(self.data_root),
            "SLIMCAST_WEIGHTS_ROOT": str(self.weights_root),
            "SLIMCAST_DATABASE_URL": self.database_url,
            "SLIMCAST_ARTIFACT_URL": self.artifact_url,
            "SLIMCAST_BROKER_URL": self.broker_url,
            "SLIMCAST_BROKER_PORT": str(self.broker_port),
            "SLIMCAST_SITE": self.site,
            "SLIMCAST_DASK_SCHEDULER": self.dask_scheduler,
            "SLIMCAST_HOST": self.host,
            "SLIMCAST_PORT": str(self.port),
            "SLIMCAST_TOKEN": self.token,
            "SLIMCAST_BROKER_USER": self.broker_access.user,
            "SLIMCAST_BROKER_PASSWORD": self.broker_access.password,
            "SLIMCAST_BROKER_PASSWORD_FILE": _text(self.broker_access.password_file),
            "SLIMCAST_BROKER_CA_FILE": _text(self.broker_access.ca_file),
            "SLIMCAST_BROKER_CERTIFICATE_FILE": _text(self.broker_access.certificate_file),
            "SLIMCAST_BROKER_KEY_FILE": _text(self.broker_access.key_file),
            "SLIMCAST_BROKER_FOLDER": _text(self.broker_folder),
            "SLIMCAST_ALERT_OFFLINE_S": str(self.alert_offline_s),
            "SLIMCAST_ALERT_HOT_C": str(self.alert_hot_c),
            "SLIMCAST_ALLOWED_USERS": self.allowed_users,
        }


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser().resolve() if text else None


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name}={text!r} is no port. Expected a number from 1 to 65535.")
    return int(text)


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name}={text!r} does not fit. Expected a number from {least:g} to {most:g}.")
    return value

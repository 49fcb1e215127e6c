"""Where a broker is, who we are there, and whom we trust."""

import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slimcast_edge.errors import SettingsError

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
MAX_SECRET_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class BrokerAddress:
    """A broker's address, who we are there, and how each side proves itself.

    Attributes:
        ca_file: certificates (PEM) that may vouch for the broker; None: those that the system trusts.
        certificate_file, key_file: our own certificate and key (PEM), where the broker asks for one.

    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        # Without the password: this goes into logs.
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what a connection is secured with; None without TLS. Reads the files anew at each call.

        Raises:
            SettingsError: a file is missing or damaged, or key and certificate do not belong together.

        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"The CA file {self.ca_file} of the broker {_unusable(error)}") from error
        context.sslsocket_class = _HandshakeSocket
        if self.certificate_file is not None:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file, password=_no_passphrase)
            except (OSError, ValueError) as error:
                names = f"{self.certificate_file} or its key {self.key_file or self.certificate_file}"
                raise SettingsError(f"The client certificate {names} {_unusable(error)}") from error
        return context


class _HandshakeSocket(ssl.SSLSocket):
    """A socket that is closed when its handshake fails: paho forgets it then, once a second for months."""

    def do_handshake(self, block: bool = False) -> None:
        """Do the handshake."""
        try:
            super().do_handshake(block)
        except (OSError, ValueError):
            self.close()
            raise


@dataclass(frozen=True, kw_only=True)
class BrokerAccess:
    """What is set beside a broker's URL, so that no password need stand in it.

    Attributes:
        password_file: a file whose first line is the password; wins over `password`.

    """

    user: str = ""
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def address(self, url: str) -> BrokerAddress:
        """Return the broker at `url` with all of this.

        Raises:
            SettingsError: the URL is none, a file cannot be read, or a setting lacks the one that it needs.

        """
        address = parse_url(url)
        if self.key_file is not None and self.certificate_file is None:
            raise SettingsError("A client key for the broker is set, but no certificate that goes with it.")
        if not address.tls and (self.ca_file is not None or self.certificate_file is not None):
            raise SettingsError(
                f"A CA file or client certificate is set, but {address} is not encrypted. "
                "Write mqtts:// instead of mqtt://, or remove those settings."
            )
        password = read_secret(self.password_file) if self.password_file is not None else self.password
        return replace(
            address,
            user=self.user or address.user,
            password=password or address.password,
            ca_file=_expanded(self.ca_file),
            certificate_file=_expanded(self.certificate_file),
            key_file=_expanded(self.key_file),
        )


def parse_url(url: str) -> BrokerAddress:
    """Read ``mqtt[s]://[user[:password]@]host[:port]``; user and password may be percent-encoded.

    Raises:
        SettingsError: it is no such address. The message does not repeat a password.

    """
    shown = repr(_without_password(url)[:200])
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{shown} is no broker address: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.path.strip("/") or parts.query or port == 0:
        raise SettingsError(f"{shown} is no broker address. Expected mqtt[s]://[user:password@]host[:port]")
    return BrokerAddress(
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "mqtts",
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_secret(path: Path) -> str:
    """Return the first line of a file.

    Raises:
        SettingsError: it cannot be read, or its first line is empty.

    """
    try:
        with path.expanduser().open("rb") as file:
            line = file.read(MAX_SECRET_BYTES).split(b"\n")[0].decode().strip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"The password file {path} cannot be read: {why}.") from error
    if not line:
        raise SettingsError(
            f"The first line of the password file {path} is empty; the password belongs there."
        )
    return line


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _expanded(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser()


_no_passphrase: Callable[[], str] = str
"""Without it, OpenSSL would ask for an encrypted key's passphrase on the terminal, and wait."""


def _unusable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there."
    if isinstance(error, PermissionError):
        return f"may not be read by {os.environ.get('USER', 'this user')}."
    detail = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return f"cannot be used ({detail}). Expected PEM, a key without passphrase that fits its certificate."

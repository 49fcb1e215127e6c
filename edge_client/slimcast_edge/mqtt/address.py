"""Where a broker is."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from slimcast_edge.errors import SettingsError

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, kw_only=True)
class BrokerAddress:
    """A broker's address, and who we are there."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        # Without the password: this goes into logs.
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def parse_url(url: str) -> BrokerAddress:
    """Read ``mqtt[s]://[user[:password]@]host[:port]``; user and password may be percent-encoded.

    Raises:
        SettingsError: it is no such address.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{url!r} is no broker address: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.path.strip("/") or parts.query or port == 0:
        raise SettingsError(f"{url!r} is no broker address. Expected mqtt://[user:password@]host[:port]")
    return BrokerAddress(
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "mqtts",
    )

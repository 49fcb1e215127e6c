"""A client of paho for one connection: who we are, what the broker says for us, how its socket behaves."""

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from slimcast_edge.broker_address import BrokerAddress
from slimcast_edge.wire import TOPICS, parse_topic

if TYPE_CHECKING:
    from paho.mqtt.client import Client

MAX_UNSENT_BYTES = 16 * 1024


def make_client(address: BrokerAddress, client_id: str, will: tuple[str, bytes] | None) -> "Client":
    """Return a client that is not connected; its callbacks for messages are still to be set.

    Raises:
        SettingsError: a file for TLS cannot be used.

    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    client.connect_timeout = 3.0
    if address.user:
        client.username_pw_set(address.user, address.password or None)
    context = address.tls_context()  # read anew, so that a renewed certificate needs no restart
    if context is not None:
        client.tls_set_context(context)
    if will is not None:
        row = TOPICS[parse_topic(will[0]).suffix]
        client.will_set(will[0], will[1], qos=row.qos, retain=row.retained)
    client.on_socket_open = _notice_dead_links
    # With this set, paho leaves all writing to `loop`: a second thread that writes could tear packets.
    client.on_socket_register_write = _ignore
    return client


def _notice_dead_links(_client: Any, _data: Any, sock: Any) -> None:
    """Let the kernel end a connection whose bytes nobody acknowledges, and send small packets at once.

    Nor may it pile up what a slow link has not yet sent: a frame counts as sent once it is in the kernel, and
    with the usual buffer of megabytes a viewer would see the past.
    """
    options = (("TCP_NODELAY", 1), ("TCP_USER_TIMEOUT", 10_000), ("TCP_NOTSENT_LOWAT", MAX_UNSENT_BYTES))
    for name, value in options:
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _ignore(*_: Any) -> None:
    return None

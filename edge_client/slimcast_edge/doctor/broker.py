"""Whether the broker can be reached and lets this device in."""

import secrets
import socket
import time

from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.errors import SettingsError, WireError
from slimcast_edge.mqtt import BrokerAddress, Connection
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.wire import topic

_REACH_S = 5.0
_LOGIN_S = 10.0


def check_broker(settings: EdgeSettings) -> Finding:
    """Look the host up, reach its port, log in, and subscribe to this device's orders."""
    try:
        address = settings.broker_address()
        address.tls_context()
    except SettingsError as error:
        return bad("broker", str(error), "Correct the settings that begin with `broker`.")
    return _unreachable(settings, address) or _login(settings, address)


def _unreachable(settings: EdgeSettings, address: BrokerAddress) -> Finding | None:
    try:
        socket.create_connection((address.host, address.port), timeout=_REACH_S).close()
    except socket.gaierror as error:
        return bad(
            "broker",
            f"{address}: no host of that name ({error.strerror}).",
            "Correct `broker` in the settings; an address such as mqtt://192.168.1.10 needs no name server.",
        )
    except ConnectionRefusedError:
        if "broker" not in settings.model_fields_set:
            return bad(
                "broker",
                f"The settings name no broker, and none runs on this device itself ({address}).",
                "Enrol the device with a code, which brings the broker's address, or set `broker`.",
            )
        return bad(
            "broker",
            f"{address}: the host is there, but nothing listens on port {address.port}.",
            "Start the broker there, and let it listen on the network and not on 127.0.0.1 alone "
            "(deploy/mosquitto.conf).",
        )
    except OSError as error:  # time-outs and unreachable networks among them
        return bad(
            "broker",
            f"{address}: cannot be reached ({error.strerror or error}).",
            "Is the device on the right network, and does a firewall let the port through?",
        )
    return None


def _login(settings: EdgeSettings, address: BrokerAddress) -> Finding:
    try:
        orders = topic(settings.site, settings.device, "desired")
    except WireError as error:
        return bad("broker", str(error), "Change `site` or `device` in the settings.")
    # A name of its own: under the client's a broker would throw out the one that runs.
    connection = Connection(
        address,
        f"slimcast-doctor-{secrets.token_hex(4)}",
        site=settings.site,
        subscriptions=[orders],
        on_message=lambda _address, _payload: None,
    )
    connection.start()
    try:
        if not _wait(connection):
            return bad(
                "broker",
                connection.problem or f"{address}: no answer within {_LOGIN_S:.0f} s.",
                _who_are_we(settings),
            )
        if connection.counters["refused_subscriptions"]:
            return bad(
                "broker",
                f"{address} lets us in, but not subscribe to {orders}.",
                "Let the broker's access list allow this user the topics of its device.",
            )
    finally:
        connection.stop(timeout=0.5)
    return good("broker", f"{address}: logged in as {address.user or 'anybody'}, subscribed to {orders}")


def _who_are_we(settings: EdgeSettings) -> str:
    if settings.broker_user and settings.is_enrolled:
        return (
            "What the enrolment brought is no longer right (was the device enrolled anew elsewhere, or "
            f"expelled?): slimcast devices enrol {settings.device} in the studio gives a new code."
        )
    return (
        "Check `broker_user` and `broker_password` in the settings, and `broker_ca_file` (with an "
        "address that begins with mqtts://) where the broker encrypts."
    )


def _wait(connection: Connection) -> bool:
    """Wait until the broker has let us in, or has said why not; return whether it has."""
    deadline = time.monotonic() + _LOGIN_S
    while not connection.problem and time.monotonic() < deadline:
        if connection.wait_connected(0.1):
            return True
    return connection.connected

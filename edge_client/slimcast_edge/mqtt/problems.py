"""Why a connection to a broker did not come about, in words that say what to do."""

import socket
import ssl
from enum import StrEnum

from slimcast_edge.broker_address import BrokerAddress

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL
_WRONG_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class ConnectCode(StrEnum):
    """Names of the refusals in MQTT's CONNACK, as paho gives them."""

    BAD_LOGIN = "Bad user name or password"
    NOT_ALLOWED = "Not authorized"


def explain_connect(error: Exception, address: BrokerAddress) -> str:
    """Return why a connection, or its TLS handshake, failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, address)
    if isinstance(error, ssl.SSLError):
        return _explain_handshake(str(error.reason or error))
    if isinstance(error, socket.gaierror):
        return f"the name {address.host!r} is unknown. Check the broker's address and the name server"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {address.port}. Does the broker run, and is that its port?"
    if isinstance(error, TimeoutError):
        hint = ", and does it speak TLS there" if address.tls else ", and is a firewall in between"
        return f"no answer in time. Is the address right{hint}?"
    if isinstance(error, ConnectionResetError) and address.tls:
        return "it ended the connection during the TLS handshake. Does it speak TLS on this port?"
    return f"cannot connect ({error})"


def explain_refusal(code: str, address: BrokerAddress) -> str:
    """Return why the broker turned our CONNECT down; `code` as paho names it."""
    who = f"the user {address.user!r}" if address.user else "a client without a user name"
    if code == ConnectCode.BAD_LOGIN:
        return f"it refuses {who}: wrong user or password"
    if code == ConnectCode.NOT_ALLOWED:
        cure = "the user or password is wrong" if address.user else "set the broker's user and password"
        return f"it refuses {who}: {cure}"
    return f"it refuses us ({code})"


def explain_loss(text: str) -> str:
    """Return what the TLS layer said when a connection broke before the broker had answered, else ""."""
    return _explain_handshake(text) if "alert" in text.lower() else ""


def _explain_certificate(error: ssl.SSLCertVerificationError, address: BrokerAddress) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired, or this machine's clock is wrong. Renew the certificate"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet: this machine's clock is probably behind"
    if error.verify_code in _WRONG_NAME:
        return (
            f"its certificate was not made for {address.host!r}. Use a name that stands in the certificate, "
            "or have one made for this name"
        )
    trusted = f"the CA file {address.ca_file}" if address.ca_file else "the system's certificates"
    why = f"not vouched for by {trusted} ({error.verify_message})"
    return f"its certificate is {why}. Set the CA file of the broker"


def _explain_handshake(reason: str) -> str:
    low = reason.lower().replace("_", " ")
    if "certificate required" in low or "handshake failure" in low:
        return "it asks for a client certificate. Set one, with its key"
    if "certificate expired" in low:
        return "it refuses our client certificate: it has expired"
    if any(
        word in low for word in ("unknown ca", "bad certificate", "certificate unknown", "alert unsupported")
    ):
        return "it does not trust our client certificate. Use one made by the broker's own CA"
    if "wrong version number" in low or "record layer" in low:
        return "it does not speak TLS on this port. Write mqtt:// for an unencrypted one, or use its TLS port"
    return f"the TLS handshake failed ({reason})"

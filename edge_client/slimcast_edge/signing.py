"""Ed25519 signatures (RFC 8032) over orders, and the public keys that a client pins."""

import base64
import binascii
import contextlib
import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from slimcast_edge.errors import SignatureError
from slimcast_edge.wire import Compare, Desired, Measure, canonical_json, decode

_DOMAINS = {
    Desired: b"slimcast-desired-v1\n",
    Measure: b"slimcast-measure-v1\n",
    Compare: b"slimcast-compare-v1\n",
}
"""Stand before what is signed, so that a signature of one sort is none of the others."""

S = TypeVar("S", Desired, Measure, Compare)
C = TypeVar("C", Measure, Compare)


def sign(order: S, key: Ed25519PrivateKey) -> S:
    """Return the order with its signature."""
    data = _signed_bytes(type(order), order.model_dump(mode="json"))
    return order.model_copy(update={"signature": base64.b64encode(key.sign(data)).decode()})


def open_signed(data: bytes | bytearray, *keys: Ed25519PublicKey) -> Desired:
    """Validate an order and check that one of these keys has signed it.

    The signature is checked over the document as it came, so fields that a newer studio adds are covered too.

    Raises:
        WireError: malformed or too large.
        SignatureError: it was not signed, or with none of these keys, or changed on its way.

    """
    return find_signer(data, keys)[0]


def find_signer(
    data: bytes | bytearray, keys: Sequence[Ed25519PublicKey]
) -> tuple[Desired, Ed25519PublicKey]:
    """Return an order and the key that has signed it; raises as `open_signed` does."""
    desired = decode(Desired, "desired", data)
    return desired, _signer(desired, data, keys, f"Revision {desired.revision}")


def open_signed_command(kind: type[C], data: bytes | bytearray, *keys: Ed25519PublicKey) -> C:
    """Validate the order to measure or to compare something and check its signature; as `open_signed`."""
    verb = kind.__name__.lower()
    order = decode(kind, f"cmd/{verb}", data)
    _signer(order, data, keys, f"The order {order.id} to {verb}")
    return order


def _signer(
    order: Desired | Measure | Compare, data: bytes | bytearray, keys: Sequence[Ed25519PublicKey], what: str
) -> Ed25519PublicKey:
    try:
        signature = base64.b64decode(order.signature, validate=True)
        content = _signed_bytes(type(order), json.loads(data))
    except ValueError:  # binascii.Error among them
        signature = content = b""
    for key in keys:
        with contextlib.suppress(InvalidSignature):
            key.verify(signature, content)
            return key
    pinned = ", ".join(map(fingerprint, keys)) or "none"
    raise SignatureError(
        f"{what} is not signed with a pinned key (pinned: {pinned}). "
        "If the studio's key has changed, pin the new one with: slimcast-edge enroll"
    )


def public_key_from_text(text: str) -> Ed25519PublicKey:
    """Read a public key: 32 bytes in base64, as ``slimcast key`` prints it.

    Raises:
        SignatureError: the text is no such key.

    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, binascii.Error) as error:
        raise SignatureError(
            f"{text.strip()[:60]!r} is no public key. "
            "Expected 44 characters of base64, as `slimcast key` prints them."
        ) from error


def public_key_to_text(key: Ed25519PublicKey) -> str:
    """Return a public key as text that `public_key_from_text` reads."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the key's sha256, for people to compare."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _signed_bytes(kind: type[Desired | Measure | Compare], document: dict[str, Any]) -> bytes:
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    return _DOMAINS[kind] + canonical_json(unsigned)

"""Ed25519 signatures (RFC 8032) over `desired`, and the public keys that a client pins."""

import base64
import binascii
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from slimcast_edge.errors import SignatureError
from slimcast_edge.wire import Desired, canonical_json, decode

_DOMAIN = b"slimcast-desired-v1\n"


def sign(desired: Desired, key: Ed25519PrivateKey) -> Desired:
    """Return the order with its signature."""
    signature = base64.b64encode(key.sign(_signed_bytes(desired.model_dump(mode="json")))).decode()
    return desired.model_copy(update={"signature": signature})


def open_signed(data: bytes | bytearray, key: Ed25519PublicKey) -> Desired:
    """Validate an order and check its signature.

    The signature is checked over the document as it came, so fields that a newer studio adds are covered too.

    Raises:
        WireError: malformed or too large.
        SignatureError: it was not signed, or not with this key, or changed on its way.

    """
    desired = decode(Desired, "desired", data)
    try:
        key.verify(base64.b64decode(desired.signature, validate=True), _signed_bytes(json.loads(data)))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise SignatureError(
            f"Revision {desired.revision} is not signed with the pinned key {fingerprint(key)}. "
            "If the studio's key has changed, pin the new one with: slimcast-edge enroll"
        ) from error
    return desired


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


def _signed_bytes(document: dict[str, Any]) -> bytes:
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    return _DOMAIN + canonical_json(unsigned)

"""Enrolment by a one-time code: how a device and a studio that share a short code come to trust each other.

One request, one answer, over a network that nobody trusts:

1. Both derive a key from the code's secret with scrypt, salted with the device's fresh X25519 key.
2. The device sends the code's id, its X25519 key, and a MAC over both under the code's key.
3. The studio checks the MAC, and answers with its own X25519 key and a `Welcome` that is encrypted
   (ChaCha20-Poly1305) under a key from the X25519 secret *and* the code's key, bound to all that was said.

Who does not know the code can neither ask (the MAC) nor answer (the encryption). Who listens learns nothing,
and not later either, when the code has become known: the X25519 keys are gone by then. Who intercepts the
request could guess secrets against its MAC: 2^50 of them at a scrypt each, while the device waits.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slimcast_edge.errors import SignatureError
from slimcast_edge.wire import Name

PATH = "/api/enrol"
"""Where a studio takes requests."""
MAX_REQUEST_BYTES = 1024
MAX_ANSWER_BYTES = 65_536
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without I, L, O and U (https://www.crockford.com/base32.html): what is misread is read as meant."""
_MISREAD = str.maketrans("ILO", "110")
ID_CHARS, SECRET_CHARS = 2, 10
_DOMAIN = b"slimcast-enrol-v1\n"
_SCRYPT_N = 2**15  # 32 MiB; 0.1 s on a PC, less than a second on a Raspberry Pi 4
_NONCE = bytes(12)  # each key seals one message only

_Share = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]


@dataclass(frozen=True)
class Code:
    """A code, taken apart: `id` says which one it is, `secret` must not leave the two ends."""

    id: str
    secret: str

    def __str__(self) -> str:
        text = self.id + self.secret
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))

    def __repr__(self) -> str:
        return f"Code({self.id!r}, ...)"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(_Message):
    """What the device sends."""

    id: str = Field(pattern=rf"^[{ALPHABET}]{{{ID_CHARS}}}$")
    share: _Share
    proof: _Share


class Answer(_Message):
    """What the studio answers."""

    share: _Share
    sealed: str = Field(max_length=MAX_ANSWER_BYTES)


class Welcome(_Message):
    """What a device must know to work with a studio.

    Attributes:
        key: the studio's public key, base64. broker: its address, without user and password.
        user, password: of this device at the broker; empty where the studio does not know them.
        ca: certificates (PEM) that may vouch for the broker; empty where it has none of its own.
        certificate, private_key: of this device (PEM), where the broker asks for them instead of a password.
        only_here: the broker takes connections from the studio's own machine only.

    """

    site: Name
    device: Name
    key: str = Field(max_length=64)
    broker: str = Field(max_length=300)
    user: str = Field(default="", max_length=128)
    password: str = Field(default="", repr=False, max_length=200)
    ca: str = Field(default="", max_length=16_384)
    certificate: str = Field(default="", max_length=8192)
    private_key: str = Field(default="", repr=False, max_length=8192)
    only_here: bool = False


def new_code() -> Code:
    """Return a fresh code: 50 random bits behind an id."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARS + SECRET_CHARS))
    return Code(text[:ID_CHARS], text[ID_CHARS:])


def read_code(text: str) -> Code:
    """Read a code as a person types it: in capitals or not, with or without dashes and spaces.

    Raises:
        SignatureError: it cannot be one.

    """
    plain = re.sub(r"[\s-]", "", text[:100]).upper().translate(_MISREAD)
    if len(plain) != ID_CHARS + SECRET_CHARS or set(plain) - set(ALPHABET):
        raise SignatureError(
            f"This is no code: expected {ID_CHARS + SECRET_CHARS} letters and digits, as the studio shows "
            "them."
        )
    return Code(plain[:ID_CHARS], plain[ID_CHARS:])


class DeviceSide:
    """The device's half of one exchange."""

    def __init__(self, code: Code) -> None:
        self._own = X25519PrivateKey.generate()
        self._share = self._own.public_key().public_bytes_raw()
        self._key = _code_key(code, self._share)
        self.request = Request(
            id=code.id, share=_text(self._share), proof=_text(_proof(self._key, self._share))
        )

    def open(self, data: bytes) -> Welcome:
        """Read the studio's answer.

        Raises:
            SignatureError: it is malformed, or comes from somebody who does not know the code.

        """
        try:
            answer = Answer.model_validate_json(data[: MAX_ANSWER_BYTES + 1024])
            share = base64.b64decode(answer.share, validate=True)
            seal = _seal_key(
                self._own, X25519PublicKey.from_public_bytes(share), self._key, self._share + share
            )
            plain = seal.decrypt(_NONCE, base64.b64decode(answer.sealed, validate=True), self._share + share)
            return Welcome.model_validate_json(plain)
        except (ValidationError, ValueError, InvalidTag) as error:
            raise SignatureError(
                "The answer does not come from the studio that made this code. Somebody may be interfering; "
                "check the address of the studio, and ask for a new code."
            ) from error


class StudioSide:
    """The studio's half: checks one request against a code."""

    def __init__(self, code: Code, request: Request) -> None:
        self._share = base64.b64decode(request.share)
        self._proof = base64.b64decode(request.proof)
        self._key = _code_key(code, self._share)

    def is_genuine(self) -> bool:
        """Return whether the device knows the code."""
        return hmac.compare_digest(self._proof, _proof(self._key, self._share))

    def answer(self, welcome: Welcome) -> bytes:
        """Return what to answer to a genuine request.

        Raises:
            SignatureError: the device's share is none (a point of low order).

        """
        own = X25519PrivateKey.generate()
        share = own.public_key().public_bytes_raw()
        try:
            device = X25519PublicKey.from_public_bytes(self._share)
            seal = _seal_key(own, device, self._key, self._share + share)
        except ValueError as error:
            raise SignatureError("The device's key is none that can be used.") from error
        sealed = seal.encrypt(_NONCE, welcome.model_dump_json().encode(), self._share + share)
        return Answer(share=_text(share), sealed=_text(sealed)).model_dump_json().encode()


def _code_key(code: Code, salt: bytes) -> bytes:
    stretch = Scrypt(salt=_DOMAIN + salt, length=32, n=_SCRYPT_N, r=8, p=1)
    return stretch.derive((code.id + code.secret).encode())


def _proof(key: bytes, share: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + b"device\n" + share, "sha256")


def _seal_key(
    own: X25519PrivateKey, other: X25519PublicKey, code_key: bytes, shares: bytes
) -> ChaCha20Poly1305:
    derive = HKDF(algorithm=SHA256(), length=32, salt=shares, info=_DOMAIN + b"studio\n")
    return ChaCha20Poly1305(derive.derive(own.exchange(other) + code_key))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

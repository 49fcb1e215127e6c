"""The studio's signing key: made on first start, readable by its owner alone, and replaced in two steps.

First a next key is made, and every order tells the devices to pin it (`begin_rotation`). Once they have, it
takes over (`finish_rotation`), and every order tells them to unpin the old one.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from slimcast.errors import FleetError
from slimcast.settings import Settings
from slimcast_edge.durable import write_durably
from slimcast_edge.errors import SignatureError
from slimcast_edge.signing import fingerprint, public_key_from_text, public_key_to_text

KEY_FILE = "studio.pem"
NEXT_FILE = "studio-next.pem"
RETIRED_FILE = "retired.pub"
MAX_RETIRED = 4
"""As many former keys are named in orders; see `Desired.retired_keys`."""


@dataclass(frozen=True, kw_only=True)
class KeyChange:
    """What orders say of the studio's keys: the public key to come, and fingerprints of those that were."""

    next_key: str = ""
    retired: tuple[str, ...] = ()


def key_change(settings: Settings) -> KeyChange:
    """Return what orders are to say now.

    Raises:
        FleetError: a key's file is damaged, or cannot be read.
    """
    fresh = next_key(settings)
    return KeyChange(
        next_key=public_key_to_text(fresh) if fresh is not None else "",
        retired=tuple(map(fingerprint, retired_keys(settings))),
    )


def studio_key(settings: Settings) -> Ed25519PrivateKey:
    """Return the key that signs orders; the first call makes it, with mode 0600.

    Raises:
        FleetError: the key's file is damaged, or cannot be read or written.
    """
    path = settings.keys_folder / KEY_FILE
    return _load(path, create=True)


def next_key(settings: Settings) -> Ed25519PublicKey | None:
    """Return the key that is to take over, None while no rotation is under way.

    Raises:
        FleetError: its file is damaged, or cannot be read.
    """
    path = settings.keys_folder / NEXT_FILE
    return _load(path, create=False).public_key() if path.exists() else None


def retired_keys(settings: Settings) -> list[Ed25519PublicKey]:
    """Return the public keys that the studio has signed with before, newest last.

    Raises:
        FleetError: their file is damaged, or cannot be read.
    """
    path = settings.keys_folder / RETIRED_FILE
    try:
        return [public_key_from_text(line) for line in path.read_text().split()] if path.exists() else []
    except (OSError, UnicodeDecodeError, SignatureError) as error:
        raise FleetError(f"The list of former keys {path} cannot be used: {error}") from error


def other_keys(settings: Settings) -> list[Ed25519PublicKey]:
    """Return the keys besides the signing one whose orders are this studio's own, too.

    Raises:
        FleetError: a key's file is damaged, or cannot be read.
    """
    fresh = next_key(settings)
    return [*retired_keys(settings), studio_key(settings).public_key(), *([fresh] if fresh else [])]


def begin_rotation(settings: Settings) -> Ed25519PublicKey:
    """Make the next key, unless there is one; return its public key. The old one still signs.

    Raises:
        FleetError: a key cannot be read or written.
    """
    studio_key(settings)
    return _load(settings.keys_folder / NEXT_FILE, create=True).public_key()


def finish_rotation(settings: Settings) -> Ed25519PublicKey:
    """Let the next key take over; return its public key. The old private key is deleted.

    Raises:
        FleetError: no rotation is under way, or a file cannot be read or written.
    """
    fresh = next_key(settings)
    if fresh is None:
        raise FleetError("No change of keys is under way. Begin one with: slimcast key rotate")
    old = studio_key(settings).public_key()
    folder = settings.keys_folder
    try:
        kept = [*retired_keys(settings), old][-MAX_RETIRED:]
        # In this order: whatever is cut off in between, there is a key to sign with and devices know it.
        lines = "".join(f"{public_key_to_text(key)}\n" for key in kept)
        write_durably(folder / RETIRED_FILE, lines.encode())
        (folder / NEXT_FILE).replace(folder / KEY_FILE)
    except OSError as error:
        raise FleetError(f"The keys in {folder} cannot be changed: {error.strerror or error}.") from error
    return fresh


def _load(path: Path, *, create: bool) -> Ed25519PrivateKey:
    try:
        if create and not path.exists():
            _create(path)
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise FleetError(
            f"Cannot read or write the studio's key {path}: {error.strerror or error}."
        ) from error
    except (ValueError, TypeError) as error:
        raise FleetError(_damaged(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FleetError(_damaged(path))
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: of two processes that start at once, both go on with the same key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _damaged(path: Path) -> str:
    return (
        f"{path} holds no Ed25519 private key. Restore it from a backup; or delete it, and a new key is "
        "made, which every camera must then pin with `slimcast-edge enroll`."
    )

"""The studio's signing key: made on first start, readable by its owner alone."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from slimcast.errors import FleetError
from slimcast.settings import Settings

KEY_FILE = "studio.pem"


def studio_key(settings: Settings) -> Ed25519PrivateKey:
    """Return the key that signs orders; the first call makes it, with mode 0600.

    Raises:
        FleetError: the key's file is damaged, or cannot be read or written.
    """
    path = settings.keys_folder / KEY_FILE
    try:
        if not path.exists():
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

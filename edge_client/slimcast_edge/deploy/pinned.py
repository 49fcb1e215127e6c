"""The studios' keys that a device has pinned: one file, one key a line; orders of any of them are obeyed."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from slimcast_edge.durable import write_durably
from slimcast_edge.errors import SettingsError, SignatureError
from slimcast_edge.signing import fingerprint, public_key_from_text, public_key_to_text
from slimcast_edge.wire import Desired

MAX_KEYS = 8
_MAX_FILE_BYTES = 4096
logger = logging.getLogger(__name__)


class KeyRing:
    """The file of pinned keys. It is read at each use, so what another process pins counts at once.

    `on_change` is called when an order has changed what is pinned.
    """

    def __init__(self, path: Path, on_change: Callable[[], None] | None = None) -> None:
        self.path, self._on_change = path, on_change

    def keys(self) -> list[Ed25519PublicKey]:
        """Return the pinned keys, none where there is no file.

        Raises:
            SettingsError: the file cannot be read, or a line of it is no key.
        """
        try:
            with self.path.open("rb") as file:
                lines = file.read(_MAX_FILE_BYTES).decode().split()
            return [public_key_from_text(line) for line in lines[:MAX_KEYS]]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError, SignatureError) as error:
            raise SettingsError(f"Cannot use the pinned key {self.path}: {error}") from error

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of the pinned keys; none where the file cannot be used, which is logged."""
        try:
            return list(map(fingerprint, self.keys()))
        except SettingsError as error:
            logger.error("%s", error)
            return []

    def pin_only(self, *keys: Ed25519PublicKey) -> None:
        """Pin these keys and no other.

        Raises:
            SettingsError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, "".join(f"{public_key_to_text(key)}\n" for key in keys).encode())
        except OSError as error:
            raise SettingsError(f"Cannot write the key to {self.path}: {error}.") from error

    def add(self, key: Ed25519PublicKey) -> None:
        """Pin one more key.

        Raises:
            SettingsError: there are too many, or the file cannot be read or written.
        """
        kept = self.keys()
        if fingerprint(key) in map(fingerprint, kept):
            return
        if len(kept) >= MAX_KEYS:
            raise SettingsError(
                f"{self.path} holds {MAX_KEYS} keys already. Remove one with: "
                "slimcast-edge enroll --remove FINGERPRINT"
            )
        self.pin_only(*kept, key)

    def remove(self, mark: str) -> None:
        """Unpin the key of this fingerprint.

        Raises:
            SettingsError: no key has it; lists those that are pinned.
        """
        kept = self.keys()
        left = [key for key in kept if fingerprint(key) != mark.strip().lower()]
        if len(left) == len(kept):
            known = ", ".join(map(fingerprint, kept)) or "none"
            raise SettingsError(f"No pinned key has the fingerprint {mark[:40]!r}. Pinned: {known}.")
        self.pin_only(*left)

    def follow(self, order: Desired, signer: Ed25519PublicKey) -> None:
        """Pin the studio's next key and unpin its former ones, as an obeyed order says.

        The key that signed the order stays, whatever it says. A key that cannot be pinned is logged.
        """
        if not order.next_key and not order.retired_keys:
            return
        try:
            before = self.keys()
            keep = _without(before, order.retired_keys, fingerprint(signer))
            if order.next_key:
                keep = _with(keep, public_key_from_text(order.next_key))
            if list(map(fingerprint, keep)) != list(map(fingerprint, before)):
                self.pin_only(*keep)
                logger.info("The studio changes its key; pinned now: %s", ", ".join(map(fingerprint, keep)))
                if self._on_change is not None:
                    self._on_change()
        except (SettingsError, SignatureError) as error:
            logger.warning("The studio's change of keys could not be followed: %s", error)


def _without(keys: Sequence[Ed25519PublicKey], retired: Sequence[str], signer: str) -> list[Ed25519PublicKey]:
    return [key for key in keys if fingerprint(key) == signer or fingerprint(key) not in retired]


def _with(keys: list[Ed25519PublicKey], key: Ed25519PublicKey) -> list[Ed25519PublicKey]:
    known = fingerprint(key) in map(fingerprint, keys)
    return keys if known or len(keys) >= MAX_KEYS else [*keys, key]

"""A broker's password file: who may connect, each with a salted hash, as `mosquitto_passwd` writes it.

One line a user: ``name:$7$iterations$salt$hash``, PBKDF2 with HMAC-SHA512, salt and hash in base64
(https://mosquitto.org/man/mosquitto_passwd-1.html). The embedded broker reads the same file.
"""

import base64
import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slimcast.errors import FleetError
from slimcast_edge.durable import write_durably

ITERATIONS = 20_000
"""Mosquitto hashes at each connect on its one thread: 20 ms there, and 200 times its own default."""
BARRED = "!"
"""Stands where the hash would: no password is right. Only the embedded broker knows it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class PasswordFile:
    """The file; a change replaces it as a whole, and one process at a time makes one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def users(self) -> list[str]:
        """Return the names, in the order of the file.

        Raises:
            FleetError: it cannot be read.
        """
        return list(self._read())

    def give(self, user: str) -> str:
        """Give a user a new random password, which is returned here and kept nowhere.

        Raises:
            FleetError: the name cannot be one, or the file cannot be read or written.
        """
        _check(user)
        password = secrets.token_urlsafe(24)
        with self._changing() as lines:
            lines[user] = hashed(password)
        return password

    def remove(self, user: str) -> bool:
        """Take a user's access away; return whether there was such a user.

        Raises:
            FleetError: the file cannot be read or written.
        """
        with self._changing() as lines:
            return lines.pop(user, None) is not None

    def bar(self, user: str) -> None:
        """Let no password of a user be right, whether or not there is such a user.

        Raises:
            FleetError: the name cannot be one, or the file cannot be read or written.
        """
        _check(user)
        with self._changing() as lines:
            lines[user] = BARRED

    def marks(self) -> dict[str, str]:
        """Return what stands for each user's password; nothing where there is no file yet.

        Raises:
            FleetError: it cannot be read.
        """
        return self._read() if self.path.exists() else {}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        try:
            with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                lines = self.marks()
                yield lines
                content = "".join(f"{user}:{mark}\n" for user, mark in lines.items())
                # The group may read: it is the broker's, where the folder belongs to that.
                write_durably(self.path, content.encode(), mode=0o640)
        except OSError as error:
            raise FleetError(
                f"The broker's password file {self.path} cannot be changed: {error.strerror or error}."
            ) from error

    def _read(self) -> dict[str, str]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"The broker's password file {self.path} cannot be read: {error}.") from error
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
        return {user: mark for user, _, mark in pairs}


def hashed(password: str) -> str:
    """Return what stands for a password in the file."""
    salt = secrets.token_bytes(12)
    digest = _digest(password, salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def matches(mark: str, password: str) -> bool:
    """Return whether this password is the one that stands in the file; False for what is no hash of ours."""
    try:
        _, kind, iterations, salt, digest = mark.split("$")
        wanted = base64.b64decode(digest, validate=True)
        found = _digest(password, base64.b64decode(salt, validate=True), int(iterations))
    except ValueError:
        return False
    return kind == "7" and hmac.compare_digest(wanted, found)


def _digest(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def _check(user: str) -> None:
    if not _NAME.fullmatch(user):
        raise FleetError(f"{user[:80]!r} cannot be a user: use 1 to 64 of A-Z a-z 0-9 _ . -")

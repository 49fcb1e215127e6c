"""What the broker says of this device's own status: put it right, and notice another client of that name."""

import logging
import time
from collections.abc import Callable

from slimcast_edge.wire import Status, decode

logger = logging.getLogger(__name__)

_PATIENCE_S = 10.0  # a studio that has expelled this device deletes whatever it says: no argument about it


class Namesake:
    """Reads ``<device>/status`` as others see it. It belongs to the connection's worker.

    A broker lets one client of a name in and throws the other out, so two of them (a card that was copied) go
    round in circles, and neither is told why. The status of a session that began after ours, once ours was
    heard, can only come from another client: a late will of our own last session is older.

    Args:
        own: the status of this session.
        correct: says again that the device is there.
        tell: hands a sentence on to the studio.

    """

    def __init__(
        self, own: Status, name: str, *, correct: Callable[[], None], tell: Callable[[str], None]
    ) -> None:
        self._own, self._name, self._correct, self._tell = own, name, correct, tell
        self._is_known = False
        self._told = ""
        self._deleted_at = float("-inf")

    def heard(self, payload: bytes) -> None:
        """Take in what the broker holds; empty: somebody has deleted it.

        Raises:
            WireError: it is no status.

        """
        if not payload:
            self._deleted()
            return
        status = decode(Status, "status", payload)
        if status.session == self._own.session:
            self._is_known = True
        elif self._is_known and status.since > self._own.since and status.session != self._told:
            self._told = status.session
            self._warn()
        if not status.online:  # the broker may publish the will of our last connection after this has begun
            self._correct()

    def _deleted(self) -> None:
        now = time.monotonic()
        if now - self._deleted_at > _PATIENCE_S:
            self._correct()
        self._deleted_at = now

    def _warn(self) -> None:
        message = (
            f"Another client uses the name {self._name!r}, too; the broker throws out one for the other. Was "
            "a card copied? Enrol one of the two under a name of its own: slimcast devices enrol NAME"
        )
        logger.error("%s", message)
        self._tell(message)

"""Devices that are forgotten or expelled: what the broker retains of them goes; the expelled are not heard.

amqtt acknowledges a message before it passes it on, and drops what is still to be passed on when the sender
disconnects: whoever deletes a retained state and leaves has to wait until that comes back.
"""

import threading
from collections import Counter

from slimcast.errors import FleetError
from slimcast.fleet.board import Board
from slimcast.fleet.fresh import FreshSet
from slimcast.fleet.line import Line
from slimcast.store.expulsions import Expulsions
from slimcast_edge import wire
from slimcast_edge.wire import Address, topic

CLEAR_TIMEOUT_S = 5.0
RETAINED = tuple(suffix for suffix, info in wire.TOPICS.items() if info.retained)


class Departures:
    """The way out of a site. Thread-safe. Counts ``dropped_expelled``."""

    def __init__(
        self, site: str, line: Line, board: Board, expulsions: Expulsions, counters: Counter[str]
    ) -> None:
        self._site, self._line, self._board, self._counters = site, line, board, counters
        self._expulsions, self._expelled = expulsions, FreshSet(expulsions.names)
        self._due: set[tuple[str, str]] = set()
        self._heard = threading.Condition()

    def forget(self, device: str) -> None:
        """Delete all that the broker retains of a device; what is known of it here goes with that.

        Raises:
            FleetError: the broker is away, or the device is online and would be back at once.
        """
        self._line.check()
        known = self._board.find(device)
        if known is not None and known.online:
            raise FleetError(f"{device} is online. Stop its client first, or it is back within seconds.")
        self._clear(device)

    def turn_out(self, device: str) -> None:
        """Delete all that is retained of a device that the store says is expelled, and hear it no more.

        Raises:
            FleetError: the broker is away; what it retains goes when it is back.
        """
        self._expelled.forget()
        self._line.check()
        self._clear(device)

    def readmit(self, device: str) -> None:
        """Hear a device again that was expelled and has enrolled anew."""
        self._expulsions.remove(device)
        self._expelled.forget()

    def turns_away(self, address: Address, data: bytes) -> bool:
        """Return whether a message is of an expelled device; what it lets the broker retain is deleted."""
        if not data:
            self._expelled.forget()  # another process may just be expelling it
            return False
        if address.device not in self._expelled:
            return False
        self._counters["dropped_expelled"] += 1
        if address.suffix in RETAINED:
            self._line.offer(topic(self._site, address.device, address.suffix), b"")
        return True

    def cleared(self, address: Address) -> None:
        """Take note that a retained state was deleted, and that what is known here has followed."""
        with self._heard:
            self._due.discard((address.device, address.suffix))
            self._heard.notify_all()

    def _clear(self, device: str) -> None:
        with self._heard:
            self._due |= {(device, suffix) for suffix in RETAINED}
        for suffix in RETAINED:
            self._line.send(topic(self._site, device, suffix), b"")
        with self._heard:
            done = self._heard.wait_for(
                lambda: all(name != device for name, _ in self._due), timeout=CLEAR_TIMEOUT_S
            )
            self._due = {one for one in self._due if one[0] != device}
        if not done:
            raise FleetError(
                f"The broker has not said that it has deleted what it keeps of {device}. Try again."
            )

"""What arrives over a connection: screened by the network's thread, handled in a thread of its own."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from slimcast_edge.errors import WireError
from slimcast_edge.mqtt.inbox import Inbox, Received
from slimcast_edge.wire import TOPICS, Address, check_size, parse_topic

logger = logging.getLogger(__name__)


class Arrivals:
    """Hands messages on; what is foreign, too large or too much is dropped and counted.

    Args:
        site: messages of other sites are dropped.
        wants: whether a topic was asked for.
        on_message: called for each message, by the thread of `run`; what it raises is logged and counted.
        counters: where that is counted.

    """

    def __init__(
        self,
        site: str,
        *,
        wants: Callable[[str], bool],
        on_message: Callable[[Address, bytes], None],
        counters: Counter[str],
    ) -> None:
        self._site, self._wants, self._on_message, self._counters = site, wants, on_message, counters
        self._inbox = Inbox()

    def take(self, message: Any) -> None:
        """Take a message of the MQTT library."""
        try:
            address = parse_topic(message.topic)
            check_size(address.suffix, message.payload)
        except (WireError, UnicodeDecodeError) as error:
            logger.debug("Dropped a message: %s", error)
            self._counters["dropped_oversized" if "exceeds" in str(error) else "dropped_foreign"] += 1
            return
        # Some brokers send retained messages to clients that never asked. A retained command is an old one.
        stale = message.retain and not TOPICS[address.suffix].retained
        if address.site != self._site or stale or not self._wants(message.topic):
            self._counters["dropped_foreign"] += 1
            return
        self._counters["dropped_overflow"] += self._inbox.put(Received(address, message.payload))

    def call(self, job: Callable[[], None]) -> None:
        """Have something called in its turn, by the thread of `run`."""
        self._inbox.put(job)

    def run(self) -> None:
        """Handle what arrives until closed."""
        while (item := self._inbox.get()) is not None:
            try:
                if isinstance(item, Received):
                    self._on_message(item.address, item.payload)
                else:
                    item()
            except Exception:  # what came from outside must not end the thread
                logger.exception("Handling a message failed.")
                self._counters["handler_errors"] += 1

    def close(self) -> None:
        """Drop what waits and let `run` return."""
        self._inbox.close()

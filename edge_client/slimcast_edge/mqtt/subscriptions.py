"""What a connection is subscribed to, now and after every reconnect."""

from collections.abc import Iterable

from slimcast_edge.wire import TOPICS


class Subscriptions:
    """Topic filters with the QoS that belongs to each. Whoever shares it between threads locks it."""

    def __init__(self, filters: Iterable[str]) -> None:
        self._filters = dict.fromkeys(filters)
        self._asked: set[str] = set()

    def add(self, topic_filter: str) -> None:
        """Want a filter from now on."""
        self._filters[topic_filter] = None

    def remove(self, topic_filter: str) -> None:
        """Want a filter no more."""
        self._filters.pop(topic_filter, None)

    def all(self) -> list[tuple[str, int]]:
        """Return everything to ask a new connection for, with its QoS."""
        self._asked = set(self._filters)
        return [(name, qos_of(name)) for name in self._filters]

    def late(self) -> list[tuple[str, int]]:
        """Return what has come to be wanted since the connection was asked."""
        return [(name, qos_of(name)) for name in self._filters if name not in self._asked]

    def wants(self, topic: str) -> bool:
        """Return whether a message on this topic was asked for; from any thread."""
        from paho.mqtt.client import topic_matches_sub

        return any(topic_matches_sub(name, topic) for name in list(self._filters))


def qos_of(topic_filter: str) -> int:
    """Return the QoS to subscribe with: that of the topic, 1 where the filter covers several."""
    parts = topic_filter.split("/")
    if len(parts) == 6 and parts[3] == "blob":
        return TOPICS["blob"].qos
    row = TOPICS.get("/".join(parts[4:]))
    if row is None and len(parts) == 6:
        row = TOPICS.get(parts[4])  # with the name of a camera, or the id of a reply, behind it
    return row.qos if row else 1

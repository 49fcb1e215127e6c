"""A connection that keeps itself up: reconnects, subscribes again, notices a dead link, drops the foreign.

Two threads: one for the network, which only moves bytes, and one worker that calls the owner. A client object
of paho lives for one connection: nothing that was queued for a broker that went away is sent to the next one.
Owners re-publish their state in `on_connect`.
"""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slimcast_edge.broker_address import BrokerAddress, parse_url
from slimcast_edge.errors import SettingsError, WireError
from slimcast_edge.mqtt.arrivals import Arrivals
from slimcast_edge.mqtt.backoff import Backoff
from slimcast_edge.mqtt.paho_client import make_client
from slimcast_edge.mqtt.problems import explain_connect, explain_loss, explain_refusal
from slimcast_edge.mqtt.subscriptions import Subscriptions, qos_of
from slimcast_edge.wire import MAX_ANNOUNCEMENT_BYTES, TOPICS, Address, check_size, parse_topic

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

logger = logging.getLogger(__name__)


class Connection:
    """A connection to a broker, and what arrives over it.

    Args:
        broker: its address, or ``mqtt[s]://[user:password@]host[:port]``.
        client_id: unique at the broker; a second client of that name would throw the first out.
        site: messages of other sites are dropped.
        subscriptions: topic filters, subscribed to on every connect.
        on_message: called by the worker thread for each message; what it raises is logged and counted.
        on_connect: called by the worker thread after each connect, before any message of that connection.
        will: topic and payload that the broker publishes when this end vanishes.
        keepalive_s: silence after which the link is probed; after twice that it counts as dead.

    Raises:
        SettingsError: the address is none, or a file for TLS cannot be used.

    """

    def __init__(
        self,
        broker: str | BrokerAddress,
        client_id: str,
        *,
        site: str,
        subscriptions: list[str],
        on_message: Callable[[Address, bytes], None],
        on_connect: Callable[[], None] | None = None,
        will: tuple[str, bytes] | None = None,
        keepalive_s: int = 10,
    ) -> None:
        self.address: BrokerAddress = parse_url(broker) if isinstance(broker, str) else broker
        self.address.tls_context()  # what is wrong with its files is said now, not in the log for ever
        self.counters: Counter[str] = Counter()
        self._client_id, self._will = client_id, will
        self._on_connect, self._keepalive_s = on_connect, keepalive_s
        self._subscriptions = Subscriptions(subscriptions)
        self._arrivals = Arrivals(
            site, wants=self._subscriptions.wants, on_message=on_message, counters=self.counters
        )
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._refusal = ""
        self._problem = ""
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._network, name=f"mqtt-network-{client_id}", daemon=True),
            threading.Thread(target=self._arrivals.run, name=f"mqtt-worker-{client_id}", daemon=True),
        ]

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our subscriptions."""
        return self._connected.is_set()

    @property
    def number(self) -> int:
        """How many connections there have been; what was sent over an earlier one is gone."""
        return self.counters["connects"]

    @property
    def problem(self) -> str:
        """Why there is no connection, as a sentence; "" while there is one, and before the first try."""
        return "" if self.connected else self._problem

    def start(self) -> None:
        """Start connecting; returns at once."""
        for thread in self._threads:
            thread.start()

    def wait_connected(self, timeout: float) -> bool:
        """Wait until connected; return whether it is."""
        return self._connected.wait(timeout)

    def stop(self, last: tuple[str, bytes] | None = None, *, timeout: float = 1.5) -> None:
        """Publish a last message, such as a status, if there is one; disconnect and end the threads.

        Can be called again, and from any thread.
        """
        deadline = time.monotonic() + timeout
        info = self.publish(*last) if last is not None else None
        if info is not None:
            with contextlib.suppress(RuntimeError, ValueError):
                info.wait_for_publish(timeout / 2)
        self._stopping.set()
        self._arrivals.close()
        with self._lock:
            client = self._client
        if client is not None:
            # The network thread may just be closing the sockets: then there is nothing left to disconnect.
            with contextlib.suppress(OSError):
                client.disconnect()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.05, deadline - time.monotonic()))

    def publish(self, topic: str, payload: bytes) -> "MQTTMessageInfo | None":
        """Send with the QoS and retain flag of the topic; None while not connected (nothing is kept).

        Raises:
            WireError: no topic of ours, or too large for it.

        """
        suffix = parse_topic(topic).suffix
        check_size(suffix, payload)
        with self._lock:
            client = self._client
        if client is None or not self.connected:
            self.counters["unsent"] += 1
            return None
        row = TOPICS[suffix]
        return client.publish(topic, payload, qos=row.qos, retain=row.retained)

    def announce(self, topic: str, payload: bytes) -> bool:
        """Publish a retained document for other software on a topic of its own; return whether it went out.

        Raises:
            WireError: the topic is one of ours or holds wildcards, or the document is too large.

        """
        if topic.startswith("slimcast/") or set(topic) & set("+#\0") or len(payload) > MAX_ANNOUNCEMENT_BYTES:
            raise WireError(f"{topic[:200]!r} cannot be announced with {len(payload)} bytes.")
        with self._lock:
            client = self._client
        if client is None or not self.connected:
            return False
        client.publish(topic, payload, qos=1, retain=True)
        return True

    def is_pending(self, info: "MQTTMessageInfo | None") -> bool:
        """Return whether a message still waits to leave; False when its connection is gone."""
        if info is None or not self.connected:
            return False
        try:
            return not info.is_published()
        except (RuntimeError, ValueError):
            return False

    def subscribe(self, topic_filter: str) -> None:
        """Subscribe now and after every reconnect."""
        with self._lock:
            self._subscriptions.add(topic_filter)
            if self._client is not None and self.connected:
                self._client.subscribe(topic_filter, qos_of(topic_filter))

    def unsubscribe(self, topic_filter: str) -> None:
        """Take a subscription back."""
        with self._lock:
            self._subscriptions.remove(topic_filter)
            if self._client is not None and self.connected:
                self._client.unsubscribe(topic_filter)

    # The network thread.

    def _network(self) -> None:
        backoff, told = Backoff(), ""
        while not self._stopping.is_set():
            backoff.begin()
            reason = self._one_connection()
            if self._stopping.is_set():
                return
            if backoff.ended():
                told = ""
            wait_s = backoff.next_s()
            level = logging.DEBUG if reason == told else logging.WARNING
            self._problem = self._unusable(reason)
            logger.log(level, "%s Trying again in %.1f s.", self._problem, wait_s)
            told = reason
            self.counters["reconnects"] += 1
            self._stopping.wait(wait_s)

    def _unusable(self, reason: str) -> str:
        """Return a reason as a sentence."""
        text = f"The broker {self.address} cannot be used: {reason}"
        return text if text.endswith((".", "?")) else f"{text}."

    def _one_connection(self) -> str:
        """Connect and move bytes until the connection ends; return why it did."""
        self._refusal = ""
        try:
            client = self._make_client()
            client.connect(self.address.host, self.address.port, keepalive=self._keepalive_s)
        except SettingsError as error:  # a certificate was replaced by something that is none
            return str(error)
        except (OSError, ValueError) as error:  # refused, unreachable, unknown host, TLS
            return explain_connect(error, self.address)
        with self._lock:
            self._client = client
        give_up = time.monotonic() + 5.0
        try:
            while not self._stopping.is_set():
                if client.loop(0.5) != 0:
                    return self._refusal or "the connection was lost"
                if not self.connected and time.monotonic() > give_up:
                    return self._refusal or "it accepts connections but does not answer"
            client.loop(0.2)  # lets the last packets out, DISCONNECT among them
        except Exception:  # paho must never end this thread
            logger.exception("The MQTT library failed.")
            return "the MQTT library failed"
        finally:
            # Whoever sees that the connection is gone also finds a reason; the caller knows it better.
            self._problem = self._unusable("the connection was lost")
            with self._lock:
                self._client = None
                self._connected.clear()
            client.on_disconnect = None
            client._reset_sockets()  # a half-open socket would keep our name taken at the broker
        return "stopped"

    def _make_client(self) -> "Client":
        client = make_client(self.address, self._client_id, self._will)
        if self.address.tls:  # it is called for every packet
            client.on_log = self._note_alert
        client.on_connect = self._connack
        client.on_subscribe = self._suback
        client.on_message = lambda _client, _data, message: self._arrivals.take(message)
        return client

    def _connack(self, client: "Client", _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = explain_refusal(str(reason), self.address)
            client.disconnect()
            return
        with self._lock:
            filters = self._subscriptions.all()
        if filters:
            client.subscribe(filters)  # here, so that it happens after every reconnect
        else:
            self._up()

    def _note_alert(self, _client: "Client", _data: Any, _level: int, text: str) -> None:
        # In TLS 1.3 the broker judges our certificate after the handshake: paho only logs what it says then.
        if not self.connected:
            self._refusal = explain_loss(text) or self._refusal

    def _suback(self, _client: "Client", _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.error("Broker %s refuses a subscription of %s.", self.address, self._client_id)
            self.counters["refused_subscriptions"] += 1
        if not self.connected:
            self._up()

    def _up(self) -> None:
        logger.info("Connected to %s as %s.", self.address, self._client_id)
        self.counters["connects"] += 1
        with self._lock:
            late = self._subscriptions.late()
            if late and self._client is not None:
                self._client.subscribe(late)
            self._connected.set()
        if self._on_connect is not None:
            self._arrivals.call(self._on_connect)

import contextlib
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimcast.ports import free_port
from slimcast_edge.errors import SettingsError, WireError
from slimcast_edge.mqtt import Connection, parse_url
from slimcast_edge.mqtt.inbox import Inbox, Received
from slimcast_edge.wire import MAX_STATE_BYTES, Address, blob_topic, topic
from support_wait import wait_for

SHA = "a" * 64
pytestmark = pytest.mark.mosquitto


class Peer:
    """A connection that notes what arrives."""

    def __init__(self, url, name, subscriptions, **options):
        self.got = []
        self.connects = 0
        self.connection = Connection(
            url,
            name,
            site="lab",
            subscriptions=subscriptions,
            on_message=self._note,
            on_connect=self._up,
            **options,
        )

    def _note(self, address, payload):
        self.got.append((address.suffix, address.device, address.tail, payload))

    def _up(self):
        self.connects += 1


@pytest.fixture
def connect(broker):
    """Return a function that connects peers to the broker."""
    peers = []

    def make(name, subscriptions=(), **options):
        peer = Peer(broker.url, name, list(subscriptions), **options)
        peers.append(peer)
        peer.connection.start()
        assert peer.connection.wait_connected(10)
        return peer

    yield make
    for peer in peers:
        peer.connection.stop()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("mqtt-")]


def test_messages_come_and_state_stays(connect):
    cam = connect("cam1")
    cam.connection.publish(topic("lab", "cam1", "status"), b"state").wait_for_publish(5)
    hub = connect("hub", [topic("lab", "+", "status"), topic("lab", "+", "event")])
    wait_for(lambda: hub.got == [("status", "cam1", "", b"state")])
    cam.connection.publish(topic("lab", "cam1", "event"), b"event")
    wait_for(lambda: hub.got[1:] == [("event", "cam1", "", b"event")])


def test_a_late_subscription_receives_chunks(connect):
    hub, cam = connect("hub"), connect("cam1")
    cam.connection.subscribe(blob_topic("lab", SHA, "+"))

    def arrived():
        hub.connection.publish(blob_topic("lab", SHA, 7), b"chunk")
        return ("blob", SHA, "7", b"chunk") in cam.got

    wait_for(arrived)
    cam.connection.unsubscribe(blob_topic("lab", SHA, "+"))


def test_the_will_is_published_when_the_device_vanishes_and_not_when_it_leaves(connect):
    status = topic("lab", "cam1", "status")
    hub = connect("hub", [status])
    cam = connect("cam1", will=(status, b"gone"))
    cam.connection.stop((status, b"left"))
    wait_for(lambda: hub.got)
    assert hub.got == [("status", "cam1", "", b"left")]
    cam = connect("cam1", will=(status, b"gone"))
    cam.connection._client.socket().shutdown(socket.SHUT_RDWR)
    wait_for(lambda: ("status", "cam1", "", b"gone") in hub.got)


def test_after_a_broker_restart_everything_is_as_before(connect, broker):
    hub, cam = connect("hub", [topic("lab", "+", "event")]), connect("cam1")
    cam.connection.subscribe(blob_topic("lab", SHA, "+"))
    broker.stop()
    wait_for(lambda: not hub.connection.connected and not cam.connection.connected)
    assert cam.connection.publish(topic("lab", "cam1", "event"), b"lost") is None
    broker.start()
    wait_for(lambda: hub.connects == 2 and cam.connects == 2)
    cam.connection.publish(topic("lab", "cam1", "event"), b"again")
    hub.connection.publish(blob_topic("lab", SHA, 0), b"chunk")
    wait_for(
        lambda: hub.got == [("event", "cam1", "", b"again")] and cam.got == [("blob", SHA, "0", b"chunk")]
    )


def test_it_waits_for_a_broker_that_is_away_and_stops_meanwhile():
    connection = Connection(
        f"mqtt://127.0.0.1:{free_port()}", "cam1", site="lab", subscriptions=[], on_message=lambda *_: None
    )
    connection.start()
    wait_for(lambda: connection.counters["reconnects"] >= 1)
    assert not connection.connected
    connection.stop()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("mqtt-")]


def test_a_broker_that_falls_silent_counts_as_dead():
    """It accepts, says yes once, and never speaks again, not even to a ping."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peer.recv(1000)
            peer.sendall(b"\x20\x02\x00\x00")
            accepted.append(peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    connection = Connection(
        f"mqtt://127.0.0.1:{listener.getsockname()[1]}",
        "cam1",
        site="lab",
        subscriptions=[],
        on_message=lambda *_: None,
        keepalive_s=1,
    )
    connection.start()
    assert connection.wait_connected(5)
    wait_for(lambda: connection.counters["connects"] >= 2)
    connection.stop()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for peer in accepted:
        peer.close()
    thread.join(5)


def test_too_large_and_foreign_topics_are_not_sent(connect):
    cam = connect("cam1")
    with pytest.raises(WireError, match="exceeds"):
        cam.connection.publish(topic("lab", "cam1", "status"), b"x" * (MAX_STATE_BYTES + 1))
    with pytest.raises(WireError, match="no topic of ours"):
        cam.connection.publish("weather/today", b"rain")


def test_what_is_oversized_foreign_or_an_old_command_is_dropped_and_counted(connect):
    everything = "slimcast/v1/#"
    hub = connect("hub", [everything])
    client = connect("stranger").connection._client
    client.publish(topic("lab", "cam1", "status"), b"x" * (MAX_STATE_BYTES + 1))
    client.publish("slimcast/v1/lab/cam1/nonsense", b"x")
    client.publish(topic("other", "cam1", "status"), b"x")
    client.publish(topic("lab", "cam1", "cmd/rollback"), b"old", retain=True)
    client.publish(topic("lab", "cam1", "event"), b"fine")
    wait_for(lambda: [payload for *_, payload in hub.got] == [b"old", b"fine"])
    assert hub.connection.counters["dropped_oversized"] == 1
    assert hub.connection.counters["dropped_foreign"] == 2
    late = connect("late", [everything])
    wait_for(lambda: late.connection.counters["dropped_foreign"] == 1)
    assert not late.got


def test_a_handler_that_raises_is_counted_and_the_next_message_still_comes(connect, caplog):
    hub = connect("hub", [topic("lab", "+", "event")])
    hub.connection._arrivals._on_message = lambda address, payload: hub.got.append(int(payload))
    cam = connect("cam1")
    cam.connection.publish(topic("lab", "cam1", "event"), b"not a number")
    cam.connection.publish(topic("lab", "cam1", "event"), b"7")
    wait_for(lambda: hub.got == [7])
    assert hub.connection.counters["handler_errors"] == 1


def test_state_overtakes_frames_and_the_oldest_frame_is_dropped_when_full():
    inbox = Inbox(max_messages=3)

    def message(suffix, payload):
        return Received(Address(site="lab", device="cam1", suffix=suffix), payload)

    dropped = [inbox.put(message("frame", bytes([i]))) for i in range(4)]
    assert dropped == [0, 0, 0, 1]
    assert inbox.put(message("event", b"e")) == 1
    assert [inbox.get().payload for _ in range(3)] == [b"e", b"\x02", b"\x03"]


def test_the_inbox_is_bounded_in_bytes():
    inbox = Inbox(max_bytes=100)
    frame = Address(site="lab", device="cam1", suffix="frame")
    assert [inbox.put(Received(frame, b"x" * 40)) for _ in range(3)] == [0, 0, 1]
    assert inbox.put(Received(frame, b"x" * 101)) == 3
    inbox.close()
    assert inbox.get() is None


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "tls"),
    [
        ("mqtt://pi.local", "pi.local", 1883, "", False),
        ("mqtt://ann:s%40crt@10.0.0.2:1884", "10.0.0.2", 1884, "ann", False),
        ("mqtts://[::1]", "::1", 8883, "", True),
    ],
)
def test_addresses_are_read(url, host, port, user, tls):
    address = parse_url(url)
    assert (address.host, address.port, address.user, address.tls) == (host, port, user, tls)
    assert "s@crt" not in repr(address) + str(address)


@pytest.mark.parametrize(
    "url", ["", "pi.local", "http://pi", "mqtt://", "mqtt://pi:x", "mqtt://pi:0", "mqtt://pi/a"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(SettingsError):
        parse_url(url)


@settings(max_examples=50, deadline=None, database=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_address_parser(text):
    with contextlib.suppress(SettingsError):
        parse_url(text)

"""What a device may do at a Mosquitto that `slimcast broker-config` has set up, and what it may not."""

from collections import Counter

import pytest

from slimcast_edge import wire
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import blob_topic, topic
from support_secure import SecureMosquitto
from support_wait import wait_for

pytestmark = pytest.mark.mosquitto
SHA = "a" * 64
SITE = "lab"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    server = SecureMosquitto(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    server.stop()


class Peer:
    """A user at the broker that listens to everything and counts what it is given, by topic and payload."""

    def __init__(self, address, name, site=SITE):
        self.got = Counter()
        self.name = name
        everything = [
            topic(site, "+", suffix, "+" if row.has_tail else "")
            for suffix, row in wire.TOPICS.items()
            if suffix != "blob"
        ]
        self.connection = Connection(
            address,
            f"test-{name}",
            site=site,
            subscriptions=[*everything, blob_topic(site, SHA, "+"), f"slimcast/v1/{site}/#"],
            on_message=self._note,
        )
        self.connection.start()
        assert self.connection.wait_connected(10)

    def _note(self, address, payload):
        self.got[address.device, address.suffix, payload] += 1

    def say(self, device, suffix, payload, tail=""):
        """Publish, and wait until the broker has the message or has thrown it away."""
        to = blob_topic(SITE, SHA, 0) if suffix == "blob" else topic(SITE, device, suffix, tail)
        info = self.connection._client.publish(to, payload, qos=1)
        wait_for(info.is_published, f"{self.name} to publish {to}")


@pytest.fixture(scope="module")
def peers(broker):
    devices = {name: broker.folder.passwords.give(name) for name in ("cam1", "cam2")}
    assert broker.folder.reload()
    opened = {"studio": Peer(broker.studio, "studio")}

    def connected(name, password):
        return Peer(broker.address(name, password), name)

    opened |= {name: connected(name, password) for name, password in devices.items()}
    yield opened
    for peer in opened.values():
        peer.connection.stop()


def tail(row):
    return "id1" if row.has_tail else ""


@pytest.mark.parametrize("row", list(wire.TOPICS.values()), ids=list(wire.TOPICS))
def test_a_device_writes_its_own_topics_and_nobody_elses(peers, row):
    studio, cam1, cam2 = peers["studio"], peers["cam1"], peers["cam2"]
    cam1.say("cam1", row.suffix, b"own", tail(row))
    cam1.say("cam2", row.suffix, b"forged", tail(row))
    cam2.say("cam2", "event", f"after {row.suffix}".encode())  # what came before has been dealt with then
    wait_for(lambda: studio.got["cam2", "event", f"after {row.suffix}".encode()])
    device = SHA if row.suffix == "blob" else "cam1"
    assert bool(studio.got[device, row.suffix, b"own"]) is not row.from_studio
    assert not studio.got["cam2", row.suffix, b"forged"]
    assert not cam2.got["cam2", row.suffix, b"forged"]


@pytest.mark.parametrize("row", list(wire.TOPICS.values()), ids=list(wire.TOPICS))
def test_a_device_reads_its_orders_and_nothing_of_others(peers, row):
    studio, cam1, cam2 = peers["studio"], peers["cam1"], peers["cam2"]
    payload = f"read {row.suffix}".encode()
    studio.say("cam1", row.suffix, payload, tail(row))
    studio.say("cam1", "cmd/view", b"end " + payload)
    studio.say("cam2", "cmd/view", b"end " + payload)
    for peer in (cam1, cam2):
        wait_for(lambda peer=peer: peer.got[peer.name, "cmd/view", b"end " + payload])
    if row.suffix == "blob":
        assert cam1.got[SHA, "blob", payload]
        assert cam2.got[SHA, "blob", payload]
    else:
        assert bool(cam1.got["cam1", row.suffix, payload]) is (row.from_studio or row.suffix == "status")
        assert not cam2.got["cam1", row.suffix, payload]


def test_the_protocol_page_says_who_writes_what_as_the_rights_do():
    from pathlib import Path

    page = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
    for row in wire.TOPICS.values():
        name = {
            "blob": "blob/<sha256>/<n>",
            "reply": "<device>/reply/<id>",
            "camera": "<device>/camera/<name>",
        }.get(row.suffix, f"<device>/{row.suffix}")
        line = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert line.split("|")[2].strip().startswith("studio" if row.from_studio else "device")


def test_an_expelled_device_comes_in_no_more(broker):
    password = broker.folder.admit("cam9").password
    first = Peer(broker.address("cam9", password), "cam9")
    first.connection.stop()
    assert broker.folder.expel("cam9")
    assert broker.folder.expel("cam9")  # twice does no harm
    again = Connection(
        broker.address("cam9", password), "again", site=SITE, subscriptions=[], on_message=lambda *_: None
    )
    again.start()
    assert "refuses the user 'cam9'" in wait_for(lambda: again.problem)
    again.stop()

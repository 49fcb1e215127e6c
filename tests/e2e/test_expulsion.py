"""A device that is expelled: over the embedded broker and over a Mosquitto with users, with a real client."""

import json
import time
from contextlib import contextmanager

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from typer.testing import CliRunner

from slimcast.cli import app as studio_cli
from slimcast.errors import FleetError
from slimcast.fleet import EmbeddedBroker, FleetHub
from slimcast.fleet.enrolment import EnrolmentDesk
from slimcast.fleet.expulsion import ELSEWHERE, expel
from slimcast.fleet_records import HistoryEntry
from slimcast.ports import free_port
from slimcast.store import Store
from slimcast_edge import exchange, wire
from slimcast_edge.exchange import DeviceSide
from slimcast_edge.mqtt import BrokerAccess, Connection
from support_edge import Device
from support_fleet import ScriptedDevice, make_broker, studio_settings
from support_secure import SecureMosquitto
from support_wait import wait_for

HISTORY = HistoryEntry(
    device="cam7", at=time.time(), revision=1, state="active", artifact=None, name="m", reason="", message=""
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Stretch less: a key of the real strength takes a tenth of a second and 32 MiB."""
    monkeypatch.setattr(exchange, "_SCRYPT_N", 2**4)


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def settings(request, tmp_path):
    """A studio whose broker runs and knows users."""
    if request.param == "embedded":
        chosen = studio_settings(tmp_path / "home", free_port())
        broker = EmbeddedBroker(chosen)
    else:
        broker = SecureMosquitto(tmp_path / "broker")
        chosen = broker.settings(tmp_path / "home")
    broker.start()
    yield chosen
    broker.stop()


@contextmanager
def opened(settings):
    """A hub and a store; the desk lets the hub know who enrols."""
    store = Store.open(settings)
    hub = FleetHub(settings, store)
    hub.start()
    try:
        hub.wait_connected(10)
        yield hub, store, EnrolmentDesk(settings, readmit=hub.readmit)
    finally:
        hub.stop()
        store.close()


def enrol(desk, name):
    """Redeem a new code as a device does, and return what it learns."""
    side = DeviceSide(desk.new_code(name).code)
    return side.open(desk.answer(side.request.model_dump_json().encode(), "10.0.0.1"))


def connection(settings, welcome, name=None, heard=None):
    """A connection with what a device has learnt, under its own client id."""
    ca_file = settings.broker_access.ca_file
    access = BrokerAccess(user=welcome.user, password=welcome.password, ca_file=ca_file)
    return Connection(
        access.address(welcome.broker),
        name or wire.client_id(welcome.site, welcome.device),
        site=welcome.site,
        subscriptions=[wire.topic(welcome.site, welcome.device, "desired")],
        on_message=lambda address, _: None if heard is None else heard.append(address),
    )


def problem_of(settings, welcome, **options):
    """Try to connect; return why it fails."""
    late = connection(settings, welcome, **options)
    late.start()
    try:
        return wait_for(lambda: late.problem, "the broker to refuse")
    finally:
        late.stop()


@contextmanager
def shown_on_failure(camera):
    """End a client that waits in vain, and show what it said."""
    try:
        yield
    except AssertionError as error:
        camera.kill()
        raise AssertionError(f"{error}\n{camera.log[-3000:]}") from None


def retained(hub, name):
    device = next((one for one in hub.devices() if one.name == name), None)
    return device and (device.status or device.about or device.reported or device.desired)


@pytest.mark.slow
def test_a_real_client_is_out_until_it_has_a_new_code(settings, tmp_path, monkeypatch):
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "camera"
    folder.mkdir()
    camera = Device(folder, "")
    lines = camera.config.read_text().splitlines()
    camera.config.write_text("\n".join(one for one in lines if not one.startswith(("broker", "device"))))

    def keep(welcome):
        ca_file = folder / "ca.pem"
        ca_file.write_text(welcome.ca)
        document = {"site": welcome.site, "device": welcome.device, "broker": welcome.broker}
        document |= {"broker_user": welcome.user, "broker_password": welcome.password}
        document |= {"broker_ca_file": str(ca_file)} if welcome.ca else {}
        (camera.state_folder / "enrolment.json").write_text(json.dumps(document))
        (camera.state_folder / "studio.pub").write_text(welcome.key)

    with opened(settings) as (hub, store, desk):
        keep(enrol(desk, "cam7"))
        camera.start()
        wait_for(lambda: any(one.online and one.about for one in hub.devices()), "the camera", timeout_s=60)
        store.devices.seen({"cam7": time.time()})
        hub.set_stream("cam7", wire.StreamSettings(quality=70))
        left_open = desk.new_code("cam7")

        done = CliRunner().invoke(studio_cli, ["devices", "expel", "cam7"])
        assert done.exit_code == 0, done.output
        assert "slimcast devices enrol cam7" in done.output

        wait_for(lambda: not hub.devices(), "the camera to be gone")
        assert store.devices.all() == []
        assert hub.own_order("cam7") is None
        with shown_on_failure(camera):
            wait_for(lambda: "refuses the user 'cam7'" in camera.log, "the broker to refuse the camera")
        assert not hub.devices()
        assert not list((settings.home / "enrolment").glob(f"{left_open.code.id}*"))

        keep(enrol(desk, "cam7"))
        assert camera.stop() == 0
        camera.start()
        wait_for(lambda: any(one.online and one.about for one in hub.devices()), "the camera", timeout_s=60)
        assert camera.stop() == 0


def test_credentials_and_retained_state_end_and_history_stays(settings):
    with opened(settings) as (hub, store, desk):
        welcome, other = enrol(desk, "cam7"), enrol(desk, "cam8")
        first, second = connection(settings, welcome), connection(settings, other)
        for one in (first, second):
            one.start()
            assert one.wait_connected(10)
        online = wire.Status(online=True, session="s", since=1).encode()
        for name, one in (("cam7", first), ("cam8", second)):
            one.publish(wire.topic("lab", name, "status"), online)
        wait_for(lambda: len(hub.devices()) == 2, "both devices")
        store.devices.seen({"cam7": 1.0, "cam8": 1.0})
        store.device_log.add([HISTORY])

        assert expel(settings, store, "cam7", hub.turn_out) == []

        assert [one.name for one in hub.devices()] == ["cam8"]
        assert [one.name for one in store.devices.all()] == ["cam8"]
        assert [one.name for one in store.device_log.of("cam7")] == ["m"]
        # What it says over a connection that was open is not heard, and it does not come back.
        first.publish(wire.topic("lab", "cam7", "status"), online)
        second.publish(wire.topic("lab", "cam8", "about"), b"{}")
        assert "refuses the user 'cam7'" in problem_of(settings, welcome)
        assert [one.name for one in hub.devices()] == ["cam8"]
        assert second.connected
        first.stop()

        again = enrol(desk, "cam7")
        assert again.password != welcome.password
        back = connection(settings, again)
        back.start()
        assert back.wait_connected(10)
        back.publish(wire.topic("lab", "cam7", "status"), online)
        wait_for(lambda: len(hub.devices()) == 2, "the device that has enrolled again")
        assert "refuses" in problem_of(settings, welcome, name="the old one")
        for one in (back, second):
            one.stop()
    with opened(settings) as (hub, _, _):  # as after a restart of the studio
        wait_for(lambda: retained(hub, "cam7"), "what the broker retains")


def test_without_a_password_nobody_has_the_name_of_one_with_a_password(tmp_path):
    chosen = studio_settings(tmp_path / "home", free_port())
    broker = EmbeddedBroker(chosen)
    broker.start()
    try:
        with opened(chosen) as (hub, store, desk):
            welcome = enrol(desk, "cam7")
            nobody = welcome.model_copy(update={"user": "", "password": ""})
            assert "refuses a client without a user name" in problem_of(chosen, nobody)
            expel(chosen, store, "cam9", hub.turn_out)  # never seen: it shall not come
            assert "refuses" in problem_of(chosen, nobody.model_copy(update={"device": "cam9"}))
            welcome = welcome.model_copy(update={"password": "wrong"})
            assert "refuses the user 'cam7'" in problem_of(chosen, welcome, name="another")
    finally:
        broker.stop()


@pytest.mark.parametrize("clean", [True, False], ids=["clean session", "kept session"])
def test_without_a_password_nobody_throws_out_who_has_one(tmp_path, clean):
    """amqtt by itself lets a newcomer take the session over, and looks at the password afterwards."""
    chosen = studio_settings(tmp_path / "home", free_port())
    broker = EmbeddedBroker(chosen)
    broker.start()
    try:
        with opened(chosen) as (_, _, desk):
            welcome = enrol(desk, "cam7")
            heard = []
            device = connection(chosen, welcome, heard=heard)
            device.start()
            assert device.wait_connected(10)
            for _ in range(2):
                assert _answer_to_a_stranger(chosen, wire.client_id("lab", "cam7"), clean) == "Not authorized"
            studio = Connection(
                chosen.broker_address(), "studio-2", site="lab", subscriptions=[], on_message=lambda *_: None
            )
            studio.start()
            assert studio.wait_connected(10)
            order = wire.Desired(site="lab", device="cam7", revision=1).encode()
            studio.publish(wire.topic("lab", "cam7", "desired"), order)
            wait_for(lambda: heard, "the session to be as it was")
            assert device.number == 1
            device.stop()
            device = connection(chosen, welcome, heard=heard)
            device.start()
            assert device.wait_connected(10), "whoever has the password comes in as before"
            device.stop()
            studio.stop()
    finally:
        broker.stop()


def _answer_to_a_stranger(settings, client_id, clean):
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
    answers = []
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(str(reason))
    client.connect(settings.broker_address().host, settings.broker_address().port)
    client.loop_start()
    try:
        return wait_for(lambda: answers, "the broker's answer")[0]
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.mosquitto
def test_a_certificate_of_an_expelled_device_is_of_no_use(tmp_path):
    broker = SecureMosquitto(tmp_path / "broker", client_certificates=True)
    broker.start()
    chosen = broker.settings(tmp_path / "home")
    certificate, key = broker.folder.client_certificate("cam7")
    access = BrokerAccess(ca_file=broker.ca_file, certificate_file=certificate, key_file=key)
    heard = []
    device = Connection(
        access.address(broker.url),
        wire.client_id("lab", "cam7"),
        site="lab",
        subscriptions=[wire.topic("lab", "cam7", "status")],
        on_message=lambda address, _: heard.append(address.suffix),
    )
    device.start()
    online = wire.Status(online=True, session="s", since=1).encode()
    try:
        with opened(chosen) as (hub, store, desk):
            assert device.wait_connected(10)
            device.publish(wire.topic("lab", "cam7", "status"), online)
            wait_for(lambda: hub.devices() and heard, "the device")
            assert expel(chosen, store, "cam7", hub.turn_out) == []
            store.expulsions.remove("cam7")  # so that this is the broker's doing alone
            assert wait_for(lambda: device.connected)
            sent = device.publish(wire.topic("lab", "cam7", "status"), online)
            wait_for(sent.is_published, "the message to leave")
            hub.wait_connected(10)
            hub.turn_out("cam7")  # what the broker has passed on before this has been heard now
            assert hub.devices() == []
            with pytest.raises(FleetError, match="another one"):
                enrol(desk, "cam7")
    finally:
        device.stop()
        broker.stop()


@pytest.mark.mosquitto
def test_at_a_foreign_broker_an_expelled_device_is_not_heard(tmp_path):
    chosen = studio_settings(tmp_path / "home", free_port())
    broker = make_broker("mosquitto", chosen, tmp_path)
    broker.start()
    chosen = studio_settings(tmp_path / "home", chosen.broker_port, broker_url=broker.url)
    try:
        with opened(chosen) as (hub, store, _):
            device = ScriptedDevice(chosen).start()
            device.come_online()
            wait_for(lambda: any(one.online for one in hub.devices()), "the device")
            assert expel(chosen, store, "cam1", hub.turn_out) == [ELSEWHERE]
            assert hub.devices() == []
            device.come_online()
            wait_for(lambda: hub.counters.get("dropped_expelled"), "its message to be dropped")
            assert hub.devices() == []
            device.stop()
        with opened(chosen) as (hub, store, desk):
            enrol(desk, "cam1")
            device = ScriptedDevice(chosen).start()
            device.come_online()
            wait_for(lambda: any(one.online for one in hub.devices()), "the device that has enrolled")
            device.stop()
    finally:
        broker.stop()

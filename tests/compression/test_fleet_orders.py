"""Orders: numbered, signed, kept, and repeated when a broker has forgotten them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.errors import FleetError
from slimcast.fleet.keys import studio_key
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.publisher import Change, Publisher
from slimcast.fleet.records import Device
from slimcast.settings import Settings
from slimcast_edge.signing import open_signed, sign
from slimcast_edge.wire import ArtifactRef, CameraView, Desired, DeviceState, Reported, StreamSettings

KEY = Ed25519PrivateKey.generate()
REF = ArtifactRef(sha256="a" * 64, size_bytes=1000, chunk_bytes=1024, name="m")
CAM = Device(name="cam1")


def signed(revision, key=KEY, artifact=REF):
    return sign(Desired(site="lab", device="cam1", revision=revision, artifact=artifact), key).encode()


@pytest.fixture
def book(tmp_path):
    return OrderBook(tmp_path / "orders", KEY)


@pytest.fixture
def sent():
    return []


@pytest.fixture
def publisher(book, sent):
    return Publisher(
        site="lab",
        key=KEY,
        orders=book,
        send=lambda topic, payload: sent.append((topic, payload)),
        next_revision=lambda _: 100,
    )


def test_order_is_signed_and_goes_to_its_device(publisher, sent):
    assert publisher.order(CAM, Change(artifact=REF)) == 100
    topic, data = sent[0]
    assert topic == "slimcast/v1/lab/cam1/desired"
    assert open_signed(data, KEY.public_key()).artifact == REF


def test_revision_is_above_all_that_are_known(publisher, book):
    reported = Reported(session="s", revision=500, state=DeviceState.IDLE, at=1)
    assert publisher.order(Device(name="cam1", reported=reported), Change(artifact=REF)) == 501
    assert publisher.order(CAM, Change(artifact=REF)) == 502


def test_device_at_the_last_revision_is_told_apart(publisher, sent):
    reported = Reported(session="s", revision=2**53 - 1, state=DeviceState.IDLE, at=1)
    with pytest.raises(FleetError, match="Delete its state folder"):
        publisher.order(Device(name="cam1", reported=reported), Change(artifact=REF))
    assert sent == []


def test_changing_the_stream_keeps_the_artifact_and_the_other_way_round(publisher, book):
    publisher.order(CAM, Change(artifact=REF))
    publisher.order(CAM, Change(stream=StreamSettings(max_fps=5)))
    assert book.get("cam1").artifact == REF
    publisher.order(CAM, Change(artifact=REF))
    assert book.get("cam1").stream.max_fps == 5


def test_one_of_several_cameras_is_set_and_handed_back_alone(publisher, book):
    publisher.order(CAM, Change(artifact=REF, stream=StreamSettings(max_fps=5)))
    left, right = CameraView(rotation=90), CameraView(mirror=True)
    publisher.order(CAM, Change(camera="left", view=left))
    publisher.order(CAM, Change(camera="right", view=right))
    publisher.order(CAM, Change(camera="left", stream=StreamSettings(width=320)))
    order = book.get("cam1")
    assert (order.artifact, order.camera, order.stream.max_fps) == (REF, None, 5)
    assert (order.view_of("left"), order.view_of("right"), order.view_of("top")) == (left, right, None)
    assert (order.stream_of("left").width, order.stream_of("right").max_fps) == (320, 5)
    publisher.order(CAM, Change(camera="left", own_view=True))
    assert book.get("cam1").cameras["left"].stream.width == 320
    publisher.order(CAM, Change(camera="left", own_stream=True))
    assert set(book.get("cam1").cameras) == {"right"}


def test_the_only_camera_is_handed_back(publisher, book):
    publisher.order(CAM, Change(view=CameraView(rotation=90)))
    publisher.order(CAM)
    assert book.get("cam1").view_of("") == CameraView(rotation=90)
    publisher.order(CAM, Change(own_view=True))
    assert book.get("cam1").view_of("") is None


def test_order_that_the_broker_did_not_take_is_not_kept(book):
    def fail(topic, payload):
        raise FleetError("away")

    publisher = Publisher(site="lab", key=KEY, orders=book, send=fail, next_revision=lambda _: 1)
    with pytest.raises(FleetError, match="away"):
        publisher.order(CAM, Change(artifact=REF))
    assert book.get("cam1") is None


def test_only_what_the_broker_has_forgotten_is_repeated(publisher, sent):
    revision = publisher.order(CAM, Change(artifact=REF))
    publisher.heard("cam1", revision)
    publisher.repeat_forgotten()
    assert len(sent) == 1
    publisher.connected()
    publisher.stop()
    publisher.repeat_forgotten()
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_orders_survive_a_restart(book, tmp_path):
    book.keep(signed(7))
    again = OrderBook(tmp_path / "orders", KEY)
    assert [order.revision for order in again.load()] == [7]
    assert again.offered("a" * 64) == REF
    assert again.offered("b" * 64) is None


def test_damaged_and_foreign_files_are_passed_over(book, tmp_path, caplog):
    book.keep(signed(7))
    folder = tmp_path / "orders"
    (folder / "cam2.json").write_bytes(b"{")
    (folder / "cam3.json").write_bytes(signed(8, Ed25519PrivateKey.generate()))
    again = OrderBook(folder, KEY)
    assert [order.device for order in again.load()] == ["cam1"]
    assert "cam2.json" in caplog.text
    assert "cam3.json" in caplog.text


def test_foreign_and_older_orders_are_not_ours(book):
    assert book.keep(signed(7)).revision == 7
    assert book.keep(signed(9, Ed25519PrivateKey.generate())) is None
    assert book.keep(signed(6)) is None
    assert book.get("cam1").revision == 7


def test_dropped_order_is_gone_from_the_disk(book, tmp_path):
    book.keep(signed(7))
    book.drop("cam1")
    assert OrderBook(tmp_path / "orders", KEY).load() == []


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})


def test_key_is_made_once_and_only_its_owner_can_read_it(settings):
    assert studio_key(settings).public_key() == studio_key(settings).public_key()
    assert (settings.keys_folder / "studio.pem").stat().st_mode & 0o777 == 0o600


def test_damaged_key_says_what_to_do(settings):
    studio_key(settings)
    (settings.keys_folder / "studio.pem").write_text("nonsense")
    with pytest.raises(FleetError, match=r"studio\.pem holds no Ed25519 private key.*slimcast-edge enroll"):
        studio_key(settings)

"""From a one-time code to a camera that works: real Mosquitto with TLS, real web app, real client."""

import stat
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from typer.testing import CliRunner

from slimcast.cli import app as studio_cli
from slimcast.fleet import FleetHub
from slimcast.fleet.enrolment import EnrolmentDesk
from slimcast.ports import free_port
from slimcast.store import Store
from slimcast_edge import wire
from slimcast_edge.cli import main
from slimcast_edge.settings import load_settings
from slimcast_edge.signing import fingerprint
from slimcast_web.app import routes
from slimcast_web.middleware import TokenMiddleware
from slimcast_web.services import studio
from support_artifacts import make_artifact
from support_edge import Device
from support_secure import SecureMosquitto
from support_wait import wait_for
from support_web import FakeHub, FakeQueue

pytestmark = pytest.mark.mosquitto


@contextmanager
def served(settings, store):
    """The app's routes behind its token check, on a real port; gives the address."""
    opened = studio.Studio(settings=settings, store=store, queue=FakeQueue(store), hub=FakeHub())
    studio.use(opened)
    application = Starlette(
        routes=routes(), middleware=[Middleware(TokenMiddleware, token="a token", cookie="c")]
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, "the web app")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        studio.use(None)


@pytest.fixture
def broker(tmp_path):
    server = SecureMosquitto(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(broker, tmp_path):
    return broker.settings(tmp_path / "home")


@pytest.fixture
def store(settings):
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.mark.slow
def test_a_camera_enrols_takes_a_model_and_follows_a_change_of_keys(
    settings, store, tmp_path, capsys, monkeypatch
):
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "camera"
    folder.mkdir()
    camera = Device(folder, "")
    # Nothing of the studio stands in the camera's own settings: all comes with the code.
    lines = camera.config.read_text().splitlines()
    camera.config.write_text("\n".join(line for line in lines if not line.startswith(("broker", "device"))))
    with served(settings, store) as address:
        made = EnrolmentDesk(settings).new_code("cam7")
        line = ["enroll", "--config", str(camera.config), "--studio", address, "--code", str(made.code)]
        assert main(line) == 0
        assert "Enrolled as lab/cam7" in capsys.readouterr().out
        assert main(line) == 1
        assert "There is no such code, or it has ended" in capsys.readouterr().err
    kept = camera.state_folder / "enrolment.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_settings(camera.config).broker_address().tls

    hub = FleetHub(settings, store)
    hub.start()
    try:
        camera.start()
        wait_for(lambda: any(d.online and d.about and d.reported for d in hub.devices()), "the camera")
        artifact = store.artifacts.put(make_artifact())
        settled = hub.wait_settled("cam7", hub.publish("cam7", artifact, "model"), 90)
        assert settled.reported.state is wire.DeviceState.ACTIVE
        old = fingerprint(hub.public_key)

        begun = CliRunner().invoke(studio_cli, ["key", "rotate"])
        assert "Every device knows it" in begun.output, begun.output
        assert len(wait_for(lambda: hub.device("cam7").about.key_fingerprints)) == 2
        done = CliRunner().invoke(studio_cli, ["key", "rotate", "--finish"])
        assert done.exit_code == 0, done.output
        about = wait_for(lambda: a if len((a := hub.device("cam7").about).key_fingerprints) == 1 else None)
        assert about.key_fingerprints != [old]
    finally:
        hub.stop()
    hub = FleetHub(settings, store)  # as after a restart of the studio: it signs with the new key
    hub.start()
    try:
        assert [fingerprint(hub.public_key)] == about.key_fingerprints
        wait_for(lambda: any(d.online and d.about for d in hub.devices()), "the camera")
        again = hub.wait_settled("cam7", hub.publish("cam7", artifact, "model"), 90)
        assert again.reported.state is wire.DeviceState.ACTIVE
    finally:
        hub.stop()
        assert camera.stop() == 0


def test_nothing_is_answered_without_a_code(settings, store):
    import httpx

    with served(settings, store) as address:
        assert httpx.get(f"{address}/api/enrol").status_code == 405
        assert httpx.post(f"{address}/api/enrol", content=b"{}").status_code == 400
        assert httpx.post(f"{address}/api/enrol", content=b"x" * 100_000).status_code == 413
        assert httpx.get(f"{address}/metrics").status_code == 401


def test_finishing_waits_for_devices_that_do_not_know_the_new_key(settings, store, monkeypatch):
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    hub = FleetHub(settings, store)
    hub.start()
    try:
        hub.wait_connected(10)
        online = wire.Status(online=True, session="s", since=1).encode()
        hub._line.send(wire.topic("lab", "cam8", "status"), online)
        begun = CliRunner().invoke(studio_cli, ["key", "rotate", "--finish"])
        assert begun.exit_code == 4
        assert "slimcast key rotate" in begun.output
    finally:
        hub.stop()
    from slimcast.errors import FleetError
    from slimcast.fleet import keys, rotation

    keys.begin_rotation(settings)
    before = keys.studio_key(settings).public_key()
    with pytest.raises(FleetError, match="cam8"):
        rotation.finish(settings, wait_s=0.5)
    assert keys.studio_key(settings).public_key() == before
    done = rotation.finish(settings, force=True, wait_s=0.5)
    assert done.waiting == ("cam8",)
    assert [fingerprint(key) for key in keys.retired_keys(settings)] == [fingerprint(before)]


def test_a_device_elsewhere_cannot_use_the_broker_of_the_studio_alone(
    settings, store, tmp_path, capsys, monkeypatch
):
    alone = replace(settings, broker_url="", broker_folder=None)
    config = tmp_path / "edge.toml"
    config.write_text(f'state_folder = "{tmp_path / "state"}"\n')
    with served(alone, store) as address:
        made = EnrolmentDesk(alone).new_code("cam1")
        monkeypatch.setattr("slimcast_edge.enrolment.is_loopback", lambda _host: False)
        line = ["enroll", "--config", str(config), "--studio", address, "--code", str(made.code)]
        assert main(line) == 1
    assert "Run Mosquitto" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()

"""A studio in a temporary folder, its hub, and scripted devices."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slimcast.fleet import FleetHub
from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast.store import Store
from support_fleet import EmbeddedServer, ScriptedDevice, studio_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A studio of its own: home in `tmp_path`, an embedded broker on a free port (not started)."""
    return studio_settings(tmp_path / "home", free_port())


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def broker(settings: Settings) -> Iterator[EmbeddedServer]:
    """The studio's embedded broker, started."""
    server = EmbeddedServer(settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hub(settings: Settings, store: Store) -> Iterator[FleetHub]:
    """A started hub; it connects whenever there is a broker."""
    started = FleetHub(settings, store)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def make_device(settings: Settings) -> Iterator[Callable[..., ScriptedDevice]]:
    devices = []

    def make(**options) -> ScriptedDevice:
        devices.append(ScriptedDevice(settings, **options))
        return devices[-1].start()

    yield make
    for device in devices:
        device.stop()

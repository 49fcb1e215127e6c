"""A studio for pages, services and routes: a real store in a temporary folder."""

import shutil
from pathlib import Path

import pytest

from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_web.services import studio
from slimcast_web.services.studio import Studio
from support_web import FakeHub, FakeQueue, FakeSearches


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings.from_environment({"SLIMCAST_HOME": str(tmp_path / "home")})


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory) -> Path:
    """A home with an empty store, made once: to migrate a database takes longer than most tests here."""
    home = tmp_path_factory.mktemp("studio") / "home"
    Store.open(Settings.from_environment({"SLIMCAST_HOME": str(home)})).close()
    return home


@pytest.fixture
def opened(settings, empty_home):
    """The open studio, also as the one that pages and routes find."""
    shutil.copytree(empty_home, settings.home)
    store = Store.open(settings)
    made = Studio(settings=settings, store=store, queue=FakeQueue(store), hub=FakeHub())
    made.searches = FakeSearches(store)
    studio.use(made)
    yield made
    studio.use(None)
    store.close()

"""Fixtures of the client's tests."""

import pytest

from support_home import Home
from support_mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path):
    """Start a real Mosquitto for one test."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def home(broker):
    """Listen at the broker as Home Assistant does."""
    home = Home(broker.url)
    yield home
    home.stop()

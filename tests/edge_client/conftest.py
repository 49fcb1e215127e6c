"""Fixtures of the client's tests."""

import pytest

from support_mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path):
    """Start a real Mosquitto for one test."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()

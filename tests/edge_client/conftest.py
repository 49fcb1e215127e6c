"""Fixtures of the client's tests."""

import pytest

from support_edge import MOSQUITTO, Broker


@pytest.fixture
def broker(tmp_path):
    """Start a real Mosquitto for one test."""
    if MOSQUITTO is None:
        pytest.skip("needs Mosquitto: apt install mosquitto")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()

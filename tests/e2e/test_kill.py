"""A client that is killed at random moments of roll-outs; benchmarks/fleet_kill.py does it 200 times."""

import pytest

from slimcast_edge.signing import public_key_to_text
from support_edge import Device
from support_fleet import EmbeddedServer
from support_kill import KillLoop

pytestmark = pytest.mark.slow
KILLS = 3


def test_kills_at_random_moments_leave_a_whole_model_and_waste_nothing(settings, store, hub, tmp_path):
    broker = EmbeddedServer(settings)
    broker.start()
    client = Device(tmp_path, settings.effective_broker_url, key=public_key_to_text(hub.public_key))
    try:
        loop = KillLoop(hub, store, client, chunks=12)
        loop.begin()
        for number in range(1, KILLS + 1):
            loop.once(number)
    finally:
        client.stop()
        broker.stop()
    harm = loop.harm
    assert harm.kills == KILLS
    assert (harm.without_model, harm.corrupt_files, harm.kept_sent_again) == (0, 0, 0)

"""The place between two threads: the newest wins, and nobody waits for ever."""

import threading

from slimcast_edge.slots import Slot
from support_wait import PATIENCE, wait_for


def test_the_newest_wins_and_the_loss_is_told():
    slot = Slot()
    assert slot.put("old") is False
    assert slot.put("new") is True
    assert slot.take(0) == "new"
    assert slot.take(0) is None


def test_take_waits_for_what_comes():
    slot, taken = Slot(), []
    thread = threading.Thread(target=lambda: taken.append(slot.take(60 * PATIENCE)), daemon=True)
    thread.start()
    slot.put("item")
    thread.join(60 * PATIENCE)
    assert taken == ["item"]


def test_wait_empty_tells_whether_somebody_has_taken_it():
    slot = Slot()
    assert slot.wait_empty(0)
    slot.put("item")
    assert not slot.wait_empty(0.01)
    slot.take(0)
    assert slot.wait_empty(0)


def test_closing_ends_every_wait():
    slot, taken = Slot(), []
    thread = threading.Thread(target=lambda: taken.append(slot.take()), daemon=True)
    thread.start()
    slot.close()
    wait_for(lambda: taken == [None])
    assert slot.closed

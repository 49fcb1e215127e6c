"""The place between two threads: the newest wins, and nobody waits for ever."""

import threading

from slimcast_edge.slots import Ring, Slot
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


def test_slots_take_turns_whoever_is_faster():
    ring = Ring(3)
    fast, slow, silent = ring.slots
    taken = []
    for number in range(4):
        fast.put(f"fast {number}")
        if number == 0:
            slow.put("slow")
        taken.append(ring.take(0))
    assert taken == ["fast 0", "slow", "fast 2", "fast 3"], "the newest of each, in turn"
    assert ring.take(0) is None
    assert not ring.waiting
    silent.put("at last")
    assert ring.waiting
    assert ring.take(0) == "at last"


def test_a_ring_waits_for_any_of_its_slots_and_ends_with_them():
    ring, taken = Ring(2), []

    def take_all():
        while not ring.closed:
            taken.append(ring.take())

    thread = threading.Thread(target=take_all, daemon=True)
    thread.start()
    ring.slots[1].put("item")
    assert ring.slots[1].wait_empty(60 * PATIENCE)
    wait_for(lambda: taken == ["item"])
    ring.close()
    thread.join(60 * PATIENCE)
    assert taken == ["item", None]

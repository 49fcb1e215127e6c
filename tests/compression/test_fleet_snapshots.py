"""Pictures of devices in the hub: the newest, bounded in number and bytes."""

from slimcast.fleet.records import FramePacket
from slimcast.fleet.snapshots import SnapshotShelf
from slimcast_edge.wire import Result


def picture(number, device="cam1", size=10):
    result = Result(
        session="s", frame=number, captured_at=number, classified_at=1, latency_ms=1, artifact="a",
        predictions=[],
    )  # fmt: skip
    return FramePacket(device=device, jpeg=b"x" * size, result=result, received_at=99.0)


def numbers(shelf, device="cam1"):
    return [kept.result.frame for kept in shelf.of(device)]


def test_the_newest_of_each_device_stay_in_whatever_order_they_come():
    shelf = SnapshotShelf(max_each=3)
    for number in (5, 1, 9, 7, 3):
        shelf.add(picture(number))
    shelf.add(picture(2, "cam2"))
    assert numbers(shelf) == [9, 7, 5]
    assert numbers(shelf, "cam2") == [2]
    assert numbers(shelf, "unknown") == []


def test_what_is_sent_again_is_there_once():
    shelf = SnapshotShelf()
    for number in (1, 2, 1, 2):
        shelf.add(picture(number))
    assert numbers(shelf) == [2, 1]


def test_all_together_are_bounded():
    shelf = SnapshotShelf(max_bytes=100)
    for number in range(50):
        shelf.add(picture(number, f"cam{number}", size=30))
    assert [name for n in range(50) for name in [f"cam{n}"] if shelf.of(name)] == ["cam47", "cam48", "cam49"]

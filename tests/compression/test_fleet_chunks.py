"""The chunk server: what it serves, to whom at once, and what it refuses. Driven without its thread."""

from collections import Counter

import pytest

from slimcast.errors import StoreError
from slimcast.fleet.chunk_server import (
    COALESCE_S,
    COMPANY_S,
    GATHER_MOST_S,
    GATHER_S,
    JOIN_S,
    MAX_PENDING,
    ON_ITS_WAY_S,
    ChunkServer,
)
from slimcast_edge.wire import ArtifactRef, Want
from support_wait import wait_for

SHA, OTHER = "a" * 64, "b" * 64
SIZE = 1024


class Files:
    """An artifact store with one file whose chunks are told apart by their first byte."""

    content = b"".join(bytes([n]) * SIZE for n in range(20))

    def exists(self, sha256):
        return sha256 == SHA

    def read(self, sha256, offset=0, length=None):
        if offset == 7 * SIZE:
            raise StoreError("the disk fails")
        return self.content[offset : offset + length]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sent():
    return []


@pytest.fixture
def counters():
    return Counter()


@pytest.fixture
def server(clock, sent, counters):
    offered = {
        SHA: ArtifactRef(sha256=SHA, size_bytes=20 * SIZE, chunk_bytes=SIZE, name="m"),
        OTHER: ArtifactRef(sha256=OTHER, size_bytes=SIZE * 100_000, chunk_bytes=SIZE, name="n"),
    }

    def send(sha256, number, data):
        sent.append((number, data[0]))
        return True

    return ChunkServer(source=Files(), send=send, offered=offered.get, counters=counters, clock=clock)


def want(*chunks, sha256=SHA, chunk_bytes=SIZE):
    return Want(artifact=sha256, chunk_bytes=chunk_bytes, chunks=list(chunks))


def serve_due(server):
    while (chunk := server.next_due()[0]) is not None:
        server.serve(chunk)


def test_lone_device_is_served_at_once_and_in_order(server, sent):
    server.want("cam1", want(3, 1, 2))
    serve_due(server)
    assert sent == [(3, 3), (1, 1), (2, 2)]


def test_equal_chunks_wanted_by_several_devices_are_sent_once(server, clock, sent, counters):
    server.want("cam1", want(0))
    serve_due(server)
    clock.now += 0.01
    for device in ("cam2", "cam3", "cam1"):
        server.want(device, want(1, 2))
        clock.now += 0.01
    serve_due(server)
    assert sent == [(0, 0)]  # the others are given a moment to ask for the same
    clock.now += GATHER_S
    serve_due(server)
    assert sent == [(0, 0), (1, 1), (2, 2)]
    assert counters["chunks_coalesced"] == 4


def test_a_chunk_on_its_way_to_a_device_is_not_sent_again(server, clock, sent, counters):
    server.want("cam1", want(4))
    serve_due(server)
    clock.now += ON_ITS_WAY_S - 0.01
    server.want("cam1", want(4, 5))
    serve_due(server)
    assert sent == [(4, 4), (5, 5)]
    assert counters["chunks_coalesced"] == 1
    clock.now += 0.02
    server.want("cam1", want(4))
    serve_due(server)
    assert sent[2:] == [(4, 4)], "it was lost"


def test_a_chunk_that_is_just_being_sent_is_not_queued_again(server, clock, sent):
    for device in ("cam1", "cam2"):
        server.want(device, want(0))
    clock.now += GATHER_S
    chunk, _ = server.next_due()
    for device in ("cam1", "cam2"):
        server.want(device, want(0))
    server.serve(chunk)
    clock.now += COALESCE_S
    serve_due(server)
    assert sent == [(0, 0)]


def test_a_chunk_that_could_not_be_sent_is_sent_when_it_is_asked_for_again(server, clock, sent):
    server._send = lambda *_: False
    server.want("cam1", want(0))
    serve_due(server)
    server._send = lambda sha256, number, data: sent.append(number) or True
    clock.now += 0.1
    server.want("cam1", want(0))
    serve_due(server)
    assert sent == [0]


def test_who_joins_later_has_not_heard_what_left_before(server, clock, sent):
    server.want("cam1", want(4))
    serve_due(server)
    clock.now += 0.01
    server.want("cam2", want(4))
    clock.now += JOIN_S / 2
    server.want("cam3", want(4))
    serve_due(server)
    assert len(sent) == 1
    clock.now += JOIN_S / 2
    serve_due(server)
    assert sent == [(4, 4), (4, 4)], "one more for both"
    clock.now += 0.1
    for device in ("cam1", "cam2", "cam3"):
        server.want(device, want(4))
    clock.now += COALESCE_S
    serve_due(server)
    assert len(sent) == 2


def test_a_fleet_that_starts_is_waited_for_but_not_for_ever(server, clock, sent):
    began = clock.now
    server.want("cam0", want(*range(7)))
    server.serve(server.next_due()[0])
    for number in range(1, 20):
        clock.now += 0.4 * GATHER_S
        server.want(f"cam{number}", want(1, 2))
        serve_due(server)
        assert (len(sent) > 1) == (clock.now > began + GATHER_MOST_S), "only what left before company came"
    assert sent[:3] == [(0, 0), (1, 1), (2, 2)]


def test_who_joins_a_download_that_runs_holds_nobody_up(server, clock, sent):
    server.want("cam1", want(0))
    serve_due(server)
    clock.now += GATHER_MOST_S
    server.want("cam1", want(1))
    server.want("cam2", want(2))
    serve_due(server)
    assert sent == [(0, 0), (1, 1)]
    clock.now += COALESCE_S
    serve_due(server)
    assert sent[2:] == [(2, 2)]


def test_a_device_that_was_silent_hears_what_it_asks_for(server, clock, sent):
    server.want("cam1", want(1))
    clock.now += COMPANY_S - 0.01
    serve_due(server)
    clock.now += 0.02
    server.want("cam1", want(1))  # it was away, and its copy came while it was
    clock.now += COALESCE_S
    serve_due(server)
    assert sent == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(want(0, sha256="c" * 64), id="no order names it"),
        pytest.param(want(0, sha256=OTHER), id="not in the store"),
        pytest.param(want(0, chunk_bytes=2048), id="another chunk size than the order's"),
        pytest.param(want(20), id="behind its end"),
    ],
)
def test_what_nobody_may_have_is_refused(server, sent, counters, wrong):
    server.want("cam1", wrong)
    serve_due(server)
    assert sent == []
    assert counters["chunks_refused"] == 1


def test_file_that_cannot_be_read_is_counted_and_the_rest_is_served(server, sent, counters):
    server.want("cam1", want(6, 7, 8))
    serve_due(server)
    assert sent == [(6, 6), (8, 8)]
    assert counters["chunks_failed"] == 1


def test_queue_is_bounded(clock, counters):
    ref = ArtifactRef(sha256=SHA, size_bytes=SIZE * 10_000, chunk_bytes=SIZE, name="m")
    server = ChunkServer(
        source=Files(), send=lambda *_: True, offered=lambda _: ref, counters=counters, clock=clock
    )
    for start in range(0, MAX_PENDING + 64, 64):
        server.want("cam1", want(*range(start, start + 64)))
    assert counters["chunks_refused"] == 64


def test_thread_serves_and_stops(server, sent):
    server.start()
    server.want("cam1", want(5))
    wait_for(lambda: sent == [(5, 5)])
    server.stop()

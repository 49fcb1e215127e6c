"""What comes in over the line, checked by the inbox: each message goes to whoever it is for."""

import time
from collections import Counter
from dataclasses import dataclass

from slimcast.fleet.board import Board
from slimcast.fleet.chunk_server import ChunkServer
from slimcast.fleet.comparing import Comparing
from slimcast.fleet.line import Line
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.publisher import Publisher
from slimcast.fleet.records import FramePacket, split_source
from slimcast.fleet.replies import Replies
from slimcast.fleet.snapshots import SnapshotShelf
from slimcast.fleet.viewers import Viewers
from slimcast_edge import wire
from slimcast_edge.wire import Address, Payload, topic


@dataclass(frozen=True, kw_only=True)
class Desks:
    """Who deals with what comes in. `frames`: the newest of each camera."""

    line: Line
    board: Board
    orders: OrderBook
    publisher: Publisher
    replies: Replies
    chunks: ChunkServer
    viewers: Viewers
    comparing: Comparing
    snapshots: SnapshotShelf
    frames: dict[str, FramePacket]


class Arrivals:
    """The inbox's receiver; called on the connection's worker thread. Counts ``frames``, ``results``, ..."""

    def __init__(self, site: str, desks: Desks, counters: Counter[str]) -> None:
        self._site, self._desks, self._counters = site, desks, counters

    def on_frame(self, address: Address, jpeg: bytes, result: wire.Result) -> None:
        """Keep the newest frame and hand it to those who watch."""
        self._desks.board.apply(address, result)
        self._counters["frames"] += 1
        packet = FramePacket(device=address.device, jpeg=jpeg, result=result, received_at=time.time())
        self._desks.frames[packet.source] = packet
        self._counters["viewer_errors"] += self._desks.viewers.deliver(address.device, packet)

    def on_snapshot(self, address: Address, jpeg: bytes, result: wire.Result) -> None:
        """Keep a picture; it may be an old one, so it says nothing of how the device is now."""
        self._counters["snapshots"] += 1
        self._desks.snapshots.add(
            FramePacket(device=address.device, jpeg=jpeg, result=result, received_at=time.time())
        )

    def on_payload(self, address: Address, payload: Payload, data: bytes) -> None:
        """Take in a state, or serve what is asked for."""
        desks = self._desks
        match payload:
            case wire.Want():
                desks.chunks.want(address.device, payload)
                return
            case wire.Reply():
                desks.replies.arrived(address.device, address.tail, payload)
                return
            case wire.Desired() if payload.site == self._site:
                if desks.orders.keep(data) is not None or self._is_ours(payload):
                    desks.publisher.heard(address.device, payload.revision)
                else:
                    self._restore_order(payload)
        desks.board.apply(address, payload)
        if isinstance(payload, wire.Result):
            self._counters["results"] += 1
            desks.comparing.heard(address.device, payload)
            self._counters["viewer_errors"] += desks.viewers.deliver(address.device, payload)
        if isinstance(payload, wire.Status) and payload.online:
            # It has just connected and knows of no lease; a viewer need not wait for the next renewal.
            desks.viewers.renew(address.device)

    def on_cleared(self, address: Address) -> None:
        """Forget a state that was deleted from the broker."""
        if address.suffix == "desired":
            self._desks.orders.drop(address.device)
        self._desks.board.clear(address)
        if self._desks.board.find(address.device) is None:
            for source in [name for name in self._desks.frames if split_source(name)[0] == address.device]:
                del self._desks.frames[source]

    def _is_ours(self, order: wire.Desired) -> bool:
        known = self._desks.orders.get(order.device)
        return known is not None and known.signature == order.signature

    def _restore_order(self, heard: wire.Desired) -> None:
        """Of two studios that publish at once, the later order may reach the broker first: it counts."""
        known = self._desks.orders.payload(heard.device)
        if known is not None and known[0].revision > heard.revision:
            self._desks.line.offer(topic(self._site, heard.device, "desired"), known[1])

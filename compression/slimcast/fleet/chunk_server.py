"""Serves artifacts in chunks: what devices ask for, once for all that ask at about the same time."""

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from slimcast.errors import StoreError
from slimcast_edge.wire import ArtifactRef, Want

COALESCE_S = 0.05
MAX_PENDING = 512
"""Chunks that wait, of all devices together: 64 of their windows. More than that is asked for again."""
SEND_TIMEOUT_S = 5.0
GATHER_S, GATHER_MOST_S = 0.1, 0.5
"""How long all wait for the next device when one joins; how long at most since the first of them asked."""
COMPANY_S = 2.0
"""How long a device counts as downloading after it has asked."""
JOIN_S = 0.5
"""How long a device that joins others listens before what left earlier is sent again, once for all."""
ON_ITS_WAY_S = 1.0
"""How long a chunk may take from here to a device: less than a client's patience until it asks again."""
_IDLE_S = 1.0
_log = logging.getLogger(__name__)

Chunk = tuple[str, int]
"""(sha256 of the artifact, number of the chunk)"""


class ChunkSource(Protocol):
    """Where artifacts are read: `slimcast.store`'s files."""

    def exists(self, sha256: str) -> bool:
        """Return whether the file is there."""

    def read(self, sha256: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return a part of the file."""


class _Asker(NamedTuple):
    """A device that downloads: when it first asked, since when it hears every chunk, and when it last did."""

    joined: float
    last: float


class ChunkServer:
    """A queue of wanted chunks and the thread that sends them, one at a time.

    Args:
        source: artifacts by hash.
        send: publishes (sha256, number, bytes) and returns once it has left, or False when it did not.
        offered: returns the artifact of that hash if some order names it, with its size and chunk size.
        counters: counts ``chunks_served``, ``chunks_coalesced``, ``chunks_refused`` and ``chunks_failed``.

    """

    def __init__(
        self,
        *,
        source: ChunkSource,
        send: Callable[[str, int, bytes], bool],
        offered: Callable[[str], ArtifactRef | None],
        counters: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._send, self._offered = source, send, offered
        self._counters, self._clock = counters, clock
        self._due: OrderedDict[Chunk, float] = OrderedDict()
        self._sent: OrderedDict[Chunk, float] = OrderedDict()
        self._askers: dict[str, dict[str, _Asker]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start to send."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hub-chunks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drop what waits and end the thread."""
        with self._changed:
            self._stopping = True
            self._due.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=SEND_TIMEOUT_S + 1)

    def want(self, device: str, want: Want) -> None:
        """Queue the chunks that a device lacks; what nobody may have, or does not fit, is refused."""
        ref = self._offered(want.artifact)
        if ref is None or ref.chunk_bytes != want.chunk_bytes or not self._source.exists(want.artifact):
            self._counters["chunks_refused"] += len(want.chunks)
            return
        now = self._clock()
        with self._changed:
            # A lone device gets its answer at once. When several download the same, a moment's patience lets
            # one copy serve them all: every one of them listens to the artifact's topic.
            joined, first = self._note(device, want.artifact, now)
            due = now if first is None else now + COALESCE_S
            if first is not None and joined == now:
                hold_until = min(first + GATHER_MOST_S, now + GATHER_S)
                self._hold(want.artifact, hold_until)
                due = max(due, hold_until)
            for number in dict.fromkeys(want.chunks):
                chunk = want.artifact, number
                if joined <= self._sent.get(chunk, float("-inf")) > now - ON_ITS_WAY_S:
                    # The device heard that copy, or soon will: a busy broker needs longer than a device does
                    # to ask on behalf of its next window.
                    self._counters["chunks_coalesced"] += 1
                else:
                    missed = first is not None and chunk in self._sent
                    self._queue(chunk, ref, max(due, joined + JOIN_S) if missed else due)
            self._changed.notify_all()

    def next_due(self) -> tuple[Chunk | None, float]:
        """Take the chunk whose time has come; else None, and how long to wait for the first, s."""
        now = self._clock()
        with self._changed:
            for chunk, due in self._due.items():
                if due <= now:
                    del self._due[chunk]
                    self._note_sent(chunk, now)  # now, not once it has left: others ask for it meanwhile
                    return chunk, 0.0
            return None, min((due - now for due in self._due.values()), default=_IDLE_S)

    def serve(self, chunk: Chunk) -> None:
        """Read a chunk and send it."""
        sha256, number = chunk
        ref = self._offered(sha256)
        if ref is None:  # another order has replaced it since it was asked for
            self._note_unsent(chunk, "chunks_refused")
            return
        try:
            data = self._source.read(sha256, number * ref.chunk_bytes, ref.chunk_bytes)
        except StoreError as error:
            _log.warning("Chunk %d of %s was not served: %s", number, sha256[:12], error)
            self._note_unsent(chunk, "chunks_failed")
            return
        if self._send(sha256, number, data):
            self._counters["chunks_served"] += 1
        else:
            self._note_unsent(chunk, "chunks_failed")

    def _note_sent(self, chunk: Chunk, now: float) -> None:
        self._sent[chunk] = now
        self._sent.move_to_end(chunk)
        while len(self._sent) > MAX_PENDING:
            self._sent.popitem(last=False)

    def _note_unsent(self, chunk: Chunk, why: str) -> None:
        self._counters[why] += 1
        with self._changed:
            self._sent.pop(chunk, None)

    def _note(self, device: str, sha256: str, now: float) -> tuple[float, float | None]:
        """Return since when a device has been downloading an artifact, and since when the first of others."""
        recent = {
            name: asker
            for name, asker in self._askers.get(sha256, {}).items()
            if now - asker.last < COMPANY_S
        }
        joined = recent[device].joined if device in recent else now
        self._askers = {sha256: recent | {device: _Asker(joined, now)}} | {
            other: askers
            for other, askers in self._askers.items()
            if other != sha256 and max(asker.last for asker in askers.values()) > now - COMPANY_S
        }
        return joined, min((asker.joined for name, asker in recent.items() if name != device), default=None)

    def _hold(self, sha256: str, until: float) -> None:
        """Send nothing of an artifact until then: what leaves before the last device listens leaves twice."""
        for chunk, due in self._due.items():
            if chunk[0] == sha256:
                self._due[chunk] = max(due, until)

    def _queue(self, chunk: Chunk, ref: ArtifactRef, due: float) -> None:
        if chunk[1] >= ref.chunks or (chunk not in self._due and len(self._due) >= MAX_PENDING):
            self._counters["chunks_refused"] += 1
        elif chunk in self._due:
            self._counters["chunks_coalesced"] += 1
        else:
            # What has just left, before this device listened, is sent once more for all that joined since.
            self._due[chunk] = max(due, self._sent.get(chunk, -COALESCE_S) + COALESCE_S)

    def _run(self) -> None:
        while not self._stopping:
            chunk, wait_s = self.next_due()
            if chunk is None:
                with self._changed:
                    if not self._stopping:
                        self._changed.wait(wait_s)
                continue
            try:
                self.serve(chunk)
            except Exception:
                self._counters["chunks_failed"] += 1
                _log.exception("Chunk %d of %s was not served.", chunk[1], chunk[0][:12])

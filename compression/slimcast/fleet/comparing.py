"""Has devices answer their frames with a second model beside their own, and counts how often both agree."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.fleet.replies import Replies
from slimcast_edge.signing import sign
from slimcast_edge.wire import CHUNK_BYTES, ArtifactRef, Compare, Compared, Reply, Result, topic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from slimcast.fleet.publisher import Send

LEASE_S = 6.0
RENEW_S, LOOK_S = 2.0, 0.5
"""How often a comparison is prolonged; and how often until the second model answers, to see it come."""
_REPLY_S = 1.0
_PATIENCE = 5
_NEWEST = 300
"""Frames whose latencies count."""
_SILENT = "does not answer. It may be offline, or have an older client that cannot compare."
_MEANINGLESS = Reply(id="none", ok=False, error="It answered with something that makes no sense.")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What both models have said of the same frames.

    Attributes:
        frames: that both have answered. agreed: of these, with the same label first.
        known: of these, where the camera knows the right label; `first_right`, `second_right` of them.
        first_ms, second_ms: median latency on the device over the newest frames, preprocessing and inference.

    """

    frames: int = 0
    agreed: int = 0
    known: int = 0
    first_right: int = 0
    second_right: int = 0
    first_ms: float = 0.0
    second_ms: float = 0.0

    def after(self, result: Result) -> "Tally":
        """Return it with one more frame; unchanged where one of the two has said nothing."""
        second = result.second
        if second is None or not result.predictions or not second.predictions:
            return self
        first_label, second_label = result.predictions[0].label, second.predictions[0].label
        return Tally(
            frames=self.frames + 1,
            agreed=self.agreed + (first_label == second_label),
            known=self.known + (result.expected is not None),
            first_right=self.first_right + (first_label == result.expected),
            second_right=self.second_right + (second_label == result.expected),
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a comparison stands.

    Attributes:
        artifact, name: of the second model. first: the artifact that the device runs itself.
        progress: share of the second model that the device has fetched.
        message: why it does not go on.

    """

    device: str
    artifact: str
    name: str
    state: Literal["asked", "fetching", "trying", "running", "ended"] = "asked"
    progress: float = 0.0
    message: str = ""
    first: str = ""
    tally: Tally = Tally()


class _Entry:
    def __init__(self, now: Comparison, ref: ArtifactRef) -> None:
        self.id = secrets.token_hex(8)
        self.now, self.ref = now, ref
        self.latencies_ms: deque[tuple[float, float]] = deque(maxlen=_NEWEST)
        self.viewers: set[str] = set()
        self.due = 0.0
        self.unanswered = 0


class Comparing:
    """Comparisons by device, and the thread that prolongs them while somebody looks. Thread-safe.

    Args:
        site: of this studio. key: signs the orders.
        send: publishes an order. replies: where the answers arrive.
        look: returns a device that may be ordered; raises `FleetError`.
        size_of: returns the size of an artifact that may be sent; raises `FleetError` or `StoreError`.

    """

    def __init__(
        self,
        *,
        site: str,
        key: "Ed25519PrivateKey",
        send: "Send",
        replies: Replies,
        look: Callable[[str], Device],
        size_of: Callable[[str], int],
    ) -> None:
        self._site, self._key, self._send = site, key, send
        self._replies, self._look, self._size_of = replies, look, size_of
        self._entries: dict[str, _Entry] = {}
        self._leaving: list[_Entry] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start to prolong comparisons."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hub-comparing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all comparisons and the thread."""
        with self._changed:
            self._stopping = True
            self._leaving += self._entries.values()
            self._entries.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=3)

    def join(self, device: str, artifact: str, name: str, viewer: str) -> None:
        """Compare an artifact with the one that a device runs, for as long as this viewer stays.

        Raises:
            FleetError: the device compares another one for somebody else, or cannot be ordered, or the
                artifact has been withdrawn. StoreError: it is not in the store.

        """
        self._look(device)
        size_bytes = self._size_of(artifact)
        with self._changed:
            entry = self._entries.get(device)
            if entry is not None and entry.now.artifact != artifact and entry.now.state != "ended":
                raise FleetError(
                    f"{device} compares {entry.now.name} for another page. "
                    "It takes one second model at a time."
                )
            if entry is None or entry.now.state == "ended":
                ref = ArtifactRef(
                    sha256=artifact, size_bytes=size_bytes, chunk_bytes=CHUNK_BYTES, name=name[:200]
                )
                entry = _Entry(Comparison(device=device, artifact=artifact, name=name[:200]), ref)
                self._entries[device] = entry
            entry.viewers.add(viewer)
            self._changed.notify_all()

    def leave(self, device: str, viewer: str) -> None:
        """Note that a viewer compares no more; with the last one the comparison ends."""
        with self._changed:
            entry = self._entries.get(device)
            if entry is None:
                return
            entry.viewers.discard(viewer)
            if not entry.viewers:
                self._leaving.append(self._entries.pop(device))
                self._changed.notify_all()

    def of(self, device: str) -> Comparison | None:
        """Return how the comparison on a device stands, None where there is none."""
        with self._changed:
            entry = self._entries.get(device)
            if entry is None or not entry.latencies_ms:
                return entry.now if entry is not None else None
            first_ms, second_ms = (median(values) for values in zip(*entry.latencies_ms, strict=True))
            return replace(entry.now, tally=replace(entry.now.tally, first_ms=first_ms, second_ms=second_ms))

    def offered(self, sha256: str) -> ArtifactRef | None:
        """Return the artifact of that hash if a device compares it."""
        with self._changed:
            found = (entry.ref for entry in self._entries.values() if entry.ref.sha256 == sha256)
            return next(found, None)

    def heard(self, device: str, result: Result) -> None:
        """Count what both models said of a frame."""
        entry = self._entries.get(device)
        if entry is None or result.late or result.second is None:
            return
        with self._changed:
            now = entry.now
            if result.second.artifact != now.artifact:
                return
            tally = now.tally
            if now.first != result.artifact:
                tally = Tally()
                entry.latencies_ms.clear()
            # Not the mean: a busy device stops a model in the middle now and then.
            entry.latencies_ms.append((result.latency_ms, result.second.latency_ms))
            entry.now = replace(now, first=result.artifact, tally=tally.after(result))

    # The thread.

    def _run(self) -> None:
        while True:
            with self._changed:
                due = [entry for entry in self._entries.values() if entry.due <= time.monotonic()]
                if not due and not self._leaving and not self._stopping:
                    next_due = min((entry.due for entry in self._entries.values()), default=float("inf"))
                    self._changed.wait(min(RENEW_S, max(0.01, next_due - time.monotonic())))
                leaving, self._leaving = self._leaving, []
            for entry in leaving:
                self._order(entry, 0.0, wait_s=0.0)
            if self._stopping:
                return
            for entry in due:
                self._prolong(entry)

    def _prolong(self, entry: _Entry) -> None:
        if entry.now.state == "ended":
            entry.due = time.monotonic() + RENEW_S
            return
        now = self._told(entry, self._order(entry, LEASE_S, wait_s=_REPLY_S))
        with self._changed:
            # The tally may have grown meanwhile.
            entry.now = replace(now, first=entry.now.first, tally=entry.now.tally)
        entry.due = time.monotonic() + (RENEW_S if now.state == "running" else LOOK_S)

    def _order(self, entry: _Entry, lease_s: float, *, wait_s: float) -> Reply | None:
        """Send an order and return the answer; None where there is none, a refusal of ours as a reply."""
        name = entry.now.device
        try:
            status = self._look(name).status
        except FleetError as error:
            return _MEANINGLESS.model_copy(update={"error": str(error)})
        if status is None or not status.online:
            return None
        command_id = self._replies.expect(name)
        order = Compare(
            id=command_id,
            site=self._site,
            device=name,
            session=status.session,
            comparison=entry.id,
            model=entry.ref,
            lease_s=lease_s,
        )
        try:
            self._send(topic(self._site, name, "cmd/compare"), sign(order, self._key).encode())
            return self._replies.wait(command_id, wait_s) if wait_s else None
        except FleetError:
            return None  # the broker is away: the next round may find it
        finally:
            self._replies.forget(command_id)

    def _told(self, entry: _Entry, reply: Reply | None) -> Comparison:
        now = entry.now
        entry.unanswered = entry.unanswered + 1 if reply is None else 0
        if reply is None:
            silent = entry.unanswered >= _PATIENCE
            return replace(now, message=f"{now.device} {_SILENT}" if silent else now.message)
        try:
            compared = Compared.model_validate(reply.result) if reply.ok else None
        except ValidationError:
            reply, compared = _MEANINGLESS, None
        if compared is None:
            return replace(now, state="ended", message=reply.error or "It gave no reason.")
        return replace(now, state=compared.state, progress=compared.progress, message="")

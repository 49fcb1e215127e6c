"""Drives a deployment through its states, reports each, and comes back to the last good model from any."""

import logging
import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slimcast_edge.artifact_file import check_file
from slimcast_edge.deploy.download import Download, check_room, forget_others, hash_file
from slimcast_edge.deploy.fetch import Superseded, fetch
from slimcast_edge.deploy.orders import Refused, judge
from slimcast_edge.deploy.pinned import KeyRing
from slimcast_edge.deploy.port import DeployOptions, Host, Trial
from slimcast_edge.deploy.probation import watch
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure, SettingsError, WireError
from slimcast_edge.wire import ArtifactRef, Desired, DeviceState, Event, EventKind

logger = logging.getLogger(__name__)

_CAN_BE_TRIED_AGAIN = {Refusal.DOWNLOAD_STALLED, Refusal.NO_SPACE}


class Machine:
    """The deployment of one device. All but `order`, `chunk`, `roll_back` and `stop` belong to one thread.

    Args:
        folder: where everything is kept.
        host: the client around it. trial: tries a model out of harm's way.
        identity: (site, device, session).
        keys: the pinned keys of studios; without one every order is refused.

    """

    def __init__(
        self,
        *,
        folder: StateFolder,
        host: Host,
        trial: Trial,
        identity: tuple[str, str, str],
        keys: KeyRing,
        options: DeployOptions,
        deployment: Deployment,
    ) -> None:
        self._folder, self._host, self._trial, self._options = folder, host, trial, options
        self._site, self._device, self._session = identity
        self._keys = keys
        self._now = deployment
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._download: Download | None = None
        self._stopping = threading.Event()
        self.counters: Counter[str] = Counter()

    # From other threads.

    @property
    def offered(self) -> ArtifactRef | None:
        """The artifact of the last order, whether it was put to work or not."""
        order = self._now.order
        return order.artifact if order is not None else None

    def order(self, payload: bytes) -> None:
        """Take an order as it came from the broker."""
        self._jobs.put(lambda: self._handle_order(payload))

    def chunk(self, sha256: str, number: int, data: bytes) -> None:
        """Take a chunk as it came from the broker."""
        download = self._download
        if download is None or download.ref.sha256 != sha256 or not download.add(number, data):
            self.counters["dropped_chunks"] += 1

    def roll_back(self, done: Callable[[str], None]) -> None:
        """Go back to the previous model; `done` is called with what went wrong, "" for nothing."""
        self._jobs.put(lambda: done(self._handle_rollback()))

    def stop(self) -> None:
        """Let `run` return soon. What is unfinished goes on at the next start."""
        self._stopping.set()
        download = self._download
        if download is not None:
            download.close()
        self._jobs.put(None)

    # The deployment's own thread.

    def run(self) -> None:
        """Finish what was going on, then wait for orders until stopped."""
        self._report()
        self._guarded(self._go_on)
        while not self._stopping.is_set():
            job = self._jobs.get()
            if job is not None:
                self._guarded(job)
            # What was interrupted for a job that changed nothing goes on.
            if not self._now.state.is_settled() and self._jobs.empty():
                self._guarded(self._go_on)
        if self._now.running:
            self._note(running=False)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Superseded:
            logger.info("Interrupted; what has arrived is kept.")
        except Exception:  # an error of ours must not end the deployment of all models to come
            logger.exception("A deployment failed unexpectedly.")
            self.counters["errors"] += 1

    def _handle_order(self, payload: bytes) -> None:
        try:
            keys = self._keys.keys()
            desired, signer = judge(payload, keys=keys, site=self._site, device=self._device, now=self._now)
        except SettingsError as error:
            logger.error("An order could not be checked: %s", error)
            self.counters["errors"] += 1
        except WireError as error:
            logger.warning("Dropped an order: %s", error)
            self.counters["dropped_malformed"] += 1
        except Refused as refused:
            self._refuse(refused)
        else:
            self._keys.follow(desired, signer)
            self._accept(desired)

    def _accept(self, desired: Desired) -> None:
        again = self._now.reason in _CAN_BE_TRIED_AGAIN and self._now.state is DeviceState.FAILED
        if desired.revision == self._now.revision and self._now.state.is_settled() and not again:
            self._report()  # the same order once more: after each connect, for instance
            return
        if desired.revision > self._now.revision:
            try:
                self._save(revision=desired.revision, order=desired)
            except OSError as error:
                # Not written down, it could be replayed after a restart: it counts as not given.
                self._refuse(Refused(Refusal.NO_SPACE, desired.revision, _unwritable(error)))
                return
            self._host.obey(desired)
        self._deploy(desired.artifact)

    def _go_on(self) -> None:
        order = self._now.order
        if self._now.state is DeviceState.PROBATION and self._now.active is not None:
            self._probation(self._now.active)
        elif order is not None and not self._now.state.is_settled():
            logger.info("Going on with revision %d.", order.revision)
            self._deploy(order.artifact)

    def _deploy(self, ref: ArtifactRef | None) -> None:
        active = self._now.active
        if ref is None or (active is not None and ref.sha256 == active.sha256):
            self._settle(DeviceState.ACTIVE if active else DeviceState.IDLE)
            return
        entry = ModelEntry(sha256=ref.sha256, name=ref.name)
        path = self._folder.model_path(ref.sha256)
        try:
            self._obtain(ref, path)
            self._step(DeviceState.WARMING)
            passed = self._trial(path)
            logger.info("The trial of %s took %.2f ms for an image.", ref.name, passed.latency_ms)
            self._swap(path, entry)
        except ArtifactError as error:
            if not self._stopping.is_set():
                self._fail(error.reason, str(error), ref)
        except RuntimeFailure as error:
            self._fail(Refusal.LOADER_FAILED, str(error), ref)
        except OSError as error:
            self._fail(Refusal.NO_SPACE, _unwritable(error), ref)
        else:
            self._probation(entry)

    def _obtain(self, ref: ArtifactRef, path: Path) -> None:
        """Have the whole artifact on disk, its hash and its content checked."""
        if path.exists():
            self._step(DeviceState.VERIFYING)
            if hash_file(path) == ref.sha256:
                check_file(path)
                return
            path.unlink()
        if ref.size_bytes > self._options.max_artifact_bytes:
            limit = self._options.max_artifact_bytes / 1e6
            message = (
                f"The artifact has {ref.size_bytes / 1e6:.1f} MB; this device takes at most {limit:.1f} MB."
            )
            raise ArtifactError(Refusal.TOO_LARGE, message)
        forget_others(self._folder.downloads, ref.sha256)
        try:
            self._receive(ref, path)
        except ArtifactError as error:
            # What a power cut left behind, or one bad chunk, may have spoilt it: once more, from scratch.
            if error.reason is not Refusal.WRONG_HASH:
                raise
            logger.warning("%s Trying once more.", error)
            self._receive(ref, path)
        check_file(path)

    def _receive(self, ref: ArtifactRef, path: Path) -> None:
        check_room(self._folder.downloads, ref.size_bytes)
        self._step(DeviceState.DOWNLOADING)
        self._download = Download(self._folder.downloads, ref)
        try:
            self._host.listen(ref.sha256, True)
            fetch(
                self._download,
                host=self._host,
                options=self._options,
                give_way=lambda: self._stopping.is_set() or not self._jobs.empty(),
                tell=self._report,
            )
            self._step(DeviceState.VERIFYING)
            self._download.finish(path)
        finally:
            self._host.listen(ref.sha256, False)
            self._download.close()
            self._download = None

    def _swap(self, path: Path, entry: ModelEntry) -> None:
        before = self._now
        self._tell(EventKind.SWAP_STARTED, f"{entry.name} takes over.", entry)
        # First the disk, then the memory: whatever is killed in between finds the new model in probation.
        self._save(
            state=DeviceState.PROBATION,
            active=entry,
            previous=before.active,
            older=before.previous,
            running=True,
            deaths=0,
            reason="",
            message="",
        )
        try:
            self._host.swap(path, entry)
        except (ArtifactError, RuntimeFailure):
            self._now = before
            self._note()
            raise
        self._tell(EventKind.SWAP_FINISHED, f"{entry.name} classifies now.", entry)
        self._report()

    def _probation(self, entry: ModelEntry) -> None:
        self._report()
        verdict = watch(self._host, self._options, stopped=self._stopping)
        if self._stopping.is_set():
            return
        if verdict is None:
            self._note(running=False, deaths=0, older=None)
            self._host.settle()
            self._settle(DeviceState.ACTIVE)
            logger.info("%s is active.", entry.name)
        else:
            self._return_to_previous(verdict.reason, str(verdict))

    def _return_to_previous(self, reason: str, message: str) -> None:
        failed = self._now.active
        self._now = self._now.rolled_back(reason, message)
        self._note()
        active = self._now.active
        if active is None:
            self._host.unload()
        else:
            self._swap_back(active)
        logger.warning("Rolled back to %s: %s", active.name if active else "no model", message)
        self._clean_up()
        self._tell(EventKind.ROLLED_BACK, message, failed)
        self._report()

    def _swap_back(self, entry: ModelEntry) -> None:
        try:
            self._host.swap(self._folder.model_path(entry.sha256), entry)
        except (ArtifactError, RuntimeFailure) as error:
            # It ran before, so its file must have been damaged since. Better no answer than wrong ones.
            logger.error("The previous model cannot be opened any more: %s", error)
            self._host.unload()
        self._host.settle()

    def _handle_rollback(self) -> str:
        previous = self._now.previous
        if previous is None or not self._folder.model_path(previous.sha256).exists():
            return "There is no previous model on this device to go back to."
        self._return_to_previous("", "Rolled back on request.")
        return ""

    # Saying and keeping what has happened.

    def _step(self, state: DeviceState) -> None:
        self._save(state=state, reason="", message="")
        self._report()

    def _settle(self, state: DeviceState) -> None:
        self._note(state=state, reason="", message="")
        self._clean_up()
        self._report()

    def _fail(self, reason: Refusal, message: str, ref: ArtifactRef) -> None:
        logger.warning("Refused %s: %s", ref.name, message)
        self._note(state=DeviceState.FAILED, reason=reason, message=message)
        self._clean_up()
        self._tell(EventKind.REFUSED, message, ModelEntry(sha256=ref.sha256, name=ref.name))
        self._report()

    def _refuse(self, refused: Refused) -> None:
        """Report an order that was not accepted; what is kept on disk does not change."""
        logger.warning("Refused revision %d: %s", refused.revision, refused)
        self.counters["refused_orders"] += 1
        update = {
            "revision": refused.revision,
            "state": DeviceState.FAILED,
            "reason": refused.reason,
            "message": str(refused),
        }
        self._host.report(self._now.model_copy(update=update).reported(self._session, time.time()))
        self._tell(EventKind.REFUSED, str(refused), None, revision=refused.revision)

    def _clean_up(self) -> None:
        now = self._now
        try:
            self._folder.keep_only([now.active, now.previous, now.older])
            if now.reason not in _CAN_BE_TRIED_AGAIN:
                shutil.rmtree(self._folder.downloads, ignore_errors=True)
                self._folder.downloads.mkdir(exist_ok=True)
        except OSError as error:
            logger.warning("Old files stay: %s", error)

    def _save(self, **update: Any) -> None:
        """Go on only once this is on the disk: what comes next must be found again after a kill."""
        after = self._now.model_copy(update=update)
        self._folder.save(after)
        self._now = after

    def _note(self, **update: Any) -> None:
        """Go on whether or not this gets onto the disk: the older state there leads to the same end."""
        self._now = self._now.model_copy(update=update)
        try:
            self._folder.save(self._now)
        except OSError as error:
            logger.error("%s The device goes on all the same.", _unwritable(error))
            self.counters["unsaved_states"] += 1

    def _report(self, progress: float = 0.0) -> None:
        self._host.report(self._now.reported(self._session, time.time(), progress))

    def _tell(
        self, kind: EventKind, message: str, entry: ModelEntry | None, *, revision: int | None = None
    ) -> None:
        self._host.tell(
            Event(
                session=self._session,
                at=time.time(),
                kind=kind,
                message=message[:600],
                artifact=entry.sha256 if entry else "",
                revision=self._now.revision if revision is None else revision,
            )
        )


def _unwritable(error: OSError) -> str:
    return (
        f"The disk of this device cannot be written ({error.strerror or error}). Make room on it, or replace "
        "a card that has become read-only; then publish again."
    )

"""Drives a deployment through its states, reports each, and comes back to the last good model from any."""

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from slimcast_edge.deploy.delivery import Delivery
from slimcast_edge.deploy.fetch import Superseded
from slimcast_edge.deploy.orders import Refused, judge
from slimcast_edge.deploy.pinned import KeyRing
from slimcast_edge.deploy.port import DeployOptions, Host, Trial
from slimcast_edge.deploy.probation import watch
from slimcast_edge.deploy.record import CAN_BE_TRIED_AGAIN, Record, unwritable
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure, SettingsError, WireError
from slimcast_edge.wire import ArtifactRef, Desired, DeviceState, EventKind

logger = logging.getLogger(__name__)


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
        self._site, self._device, session = identity
        self._keys = keys
        self._record = Record(folder, host, session, deployment)
        self._delivery = Delivery(folder, host, options, self._record)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self.counters = self._record.counters

    @property
    def _now(self) -> Deployment:
        return self._record.now

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
        if not self._delivery.chunk(sha256, number, data):
            self.counters["dropped_chunks"] += 1

    def roll_back(self, done: Callable[[str], None]) -> None:
        """Go back to the previous model; `done` is called with what went wrong, "" for nothing."""
        self._jobs.put(lambda: done(self._handle_rollback()))

    def stop(self) -> None:
        """Let `run` return soon. What is unfinished goes on at the next start."""
        self._stopping.set()
        self._delivery.close()
        self._jobs.put(None)

    # The deployment's own thread.

    def run(self) -> None:
        """Finish what was going on, then wait for orders until stopped."""
        self._record.report()
        if self._now.state.is_settled():
            self._record.clean_up()  # what a kill, or models that were only measured, left behind
        self._guarded(self._go_on)
        while not self._stopping.is_set():
            job = self._jobs.get()
            if job is not None:
                self._guarded(job)
            # What was interrupted for a job that changed nothing goes on.
            if not self._now.state.is_settled() and self._jobs.empty():
                self._guarded(self._go_on)
        if self._now.running:
            self._record.note(running=False)

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
            self._record.refuse(refused)
        else:
            self._keys.follow(desired, signer)
            self._accept(desired)

    def _accept(self, desired: Desired) -> None:
        again = self._now.reason in CAN_BE_TRIED_AGAIN and self._now.state is DeviceState.FAILED
        if desired.revision == self._now.revision and self._now.state.is_settled() and not again:
            self._record.report()  # the same order once more: after each connect, for instance
            return
        if desired.revision > self._now.revision:
            try:
                self._record.save(revision=desired.revision, order=desired)
            except OSError as error:
                # Not written down, it could be replayed after a restart: it counts as not given.
                self._record.refuse(Refused(Refusal.NO_SPACE, desired.revision, unwritable(error)))
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
            self._record.settle(DeviceState.ACTIVE if active else DeviceState.IDLE)
            return
        entry = ModelEntry(sha256=ref.sha256, name=ref.name)
        path = self._folder.model_path(ref.sha256)
        try:
            self._delivery.have(ref, path, lambda: self._stopping.is_set() or not self._jobs.empty())
            self._record.step(DeviceState.WARMING)
            passed = self._trial(path)
            logger.info("The trial of %s took %.2f ms for an image.", ref.name, passed.latency_ms)
            self._swap(path, entry)
        except ArtifactError as error:
            if not self._stopping.is_set():
                self._record.fail(error.reason, str(error), ref)
        except RuntimeFailure as error:
            self._record.fail(Refusal.LOADER_FAILED, str(error), ref)
        except OSError as error:
            self._record.fail(Refusal.NO_SPACE, unwritable(error), ref)
        else:
            self._probation(entry)

    def _swap(self, path: Path, entry: ModelEntry) -> None:
        before = self._now
        self._record.tell(EventKind.SWAP_STARTED, f"{entry.name} takes over.", entry)
        # First the disk, then the memory: whatever is killed in between finds the new model in probation.
        self._record.save(
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
            self._record.become(before)
            raise
        self._record.tell(EventKind.SWAP_FINISHED, f"{entry.name} classifies now.", entry)
        self._record.report()

    def _probation(self, entry: ModelEntry) -> None:
        self._record.report()
        verdict = watch(self._host, self._options, stopped=self._stopping)
        if self._stopping.is_set():
            return
        if verdict is None:
            self._record.note(running=False, deaths=0, older=None)
            self._host.settle()
            self._record.settle(DeviceState.ACTIVE)
            logger.info("%s is active.", entry.name)
        else:
            self._return_to_previous(verdict.reason, str(verdict))

    def _return_to_previous(self, reason: str, message: str) -> None:
        failed = self._now.active
        self._record.become(self._now.rolled_back(reason, message))
        active = self._now.active
        if active is None:
            self._host.unload()
        else:
            self._swap_back(active)
        logger.warning("Rolled back to %s: %s", active.name if active else "no model", message)
        self._record.clean_up()
        self._record.tell(EventKind.ROLLED_BACK, message, failed)
        self._record.report()

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

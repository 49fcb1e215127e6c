"""How far a deployment is: kept on the disk for the next start, and told to the studio at each step."""

import logging
import shutil
import time
from collections import Counter
from typing import Any

from slimcast_edge.deploy.orders import Refused
from slimcast_edge.deploy.port import Host
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder
from slimcast_edge.errors import Refusal
from slimcast_edge.wire import ArtifactRef, DeviceState, Event, EventKind

logger = logging.getLogger(__name__)

CAN_BE_TRIED_AGAIN = frozenset({Refusal.DOWNLOAD_STALLED, Refusal.NO_SPACE})
"""Why an order failed that may succeed when it comes once more; what has arrived is kept for that."""


class Record:
    """The state of a deployment. It belongs to the deployment's thread.

    Args:
        folder: where it is kept. host: tells the studio. session: of this client.
        deployment: where the last start left it.

    Attributes:
        now: the state.
        counters: ``refused_orders``, ``unsaved_states``.

    """

    def __init__(self, folder: StateFolder, host: Host, session: str, deployment: Deployment) -> None:
        self._folder, self._host, self._session = folder, host, session
        self.now = deployment
        self.counters: Counter[str] = Counter()

    def step(self, state: DeviceState) -> None:
        """Go on to a state.

        Raises:
            OSError: it cannot be written.

        """
        self.save(state=state, reason="", message="")
        self.report()

    def settle(self, state: DeviceState) -> None:
        """Come to an end that is good."""
        self.note(state=state, reason="", message="")
        self.clean_up()
        self.report()

    def fail(self, reason: Refusal, message: str, ref: ArtifactRef) -> None:
        """Come to an end that is not: the artifact is not put to work."""
        logger.warning("Refused %s: %s", ref.name, message)
        self.note(state=DeviceState.FAILED, reason=reason, message=message)
        self.clean_up()
        self.tell(EventKind.REFUSED, message, ModelEntry(sha256=ref.sha256, name=ref.name))
        self.report()

    def refuse(self, refused: Refused) -> None:
        """Report an order that was not accepted; what is kept on disk does not change."""
        logger.warning("Refused revision %d: %s", refused.revision, refused)
        self.counters["refused_orders"] += 1
        update = {
            "revision": refused.revision,
            "state": DeviceState.FAILED,
            "reason": refused.reason,
            "message": str(refused),
        }
        self._host.report(self.now.model_copy(update=update).reported(self._session, time.time()))
        self.tell(EventKind.REFUSED, str(refused), None, revision=refused.revision)

    def save(self, **update: Any) -> None:
        """Go on only once this is on the disk: what comes next must be found again after a kill.

        Raises:
            OSError: it cannot be written.

        """
        after = self.now.model_copy(update=update)
        self._folder.save(after)
        self.now = after

    def note(self, **update: Any) -> None:
        """Go on whether or not this gets onto the disk: the older state there leads to the same end."""
        self.become(self.now.model_copy(update=update))

    def become(self, deployment: Deployment) -> None:
        """Be in this state as a whole, as `note` says."""
        self.now = deployment
        try:
            self._folder.save(self.now)
        except OSError as error:
            logger.error("%s The device goes on all the same.", unwritable(error))
            self.counters["unsaved_states"] += 1

    def clean_up(self) -> None:
        """Delete the models that nobody can want any more, and what is left of downloads."""
        now = self.now
        try:
            self._folder.keep_only([now.active, now.previous, now.older])
            if now.reason not in CAN_BE_TRIED_AGAIN:
                shutil.rmtree(self._folder.downloads, ignore_errors=True)
                self._folder.downloads.mkdir(exist_ok=True)
        except OSError as error:
            logger.warning("Old files stay: %s", error)

    def report(self, progress: float = 0.0) -> None:
        """Publish the state. `progress`: share of the download that is there."""
        self._host.report(self.now.reported(self._session, time.time(), progress))

    def tell(
        self, kind: EventKind, message: str, entry: ModelEntry | None, *, revision: int | None = None
    ) -> None:
        """Publish an event. `revision`: of the order that it is about; None: of the last one accepted."""
        self._host.tell(
            Event(
                session=self._session,
                at=time.time(),
                kind=kind,
                message=message[:600],
                artifact=entry.sha256 if entry else "",
                revision=self.now.revision if revision is None else revision,
            )
        )


def unwritable(error: OSError) -> str:
    """Return what to do about a disk that takes nothing."""
    return (
        f"The disk of this device cannot be written ({error.strerror or error}). Make room on it, or replace "
        "a card that has become read-only; then publish again."
    )

"""The studio: all that lives as long as the app does, and the one place through which pages reach it."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from slimcast.errors import SlimcastError
from slimcast.fleet.enrolment import EnrolmentDesk
from slimcast.fleet.steward import make_steward
from slimcast.search.processes import SearchProcesses
from slimcast.settings import Settings
from slimcast_web.services.benchmark_desk import BenchmarkDesk
from slimcast_web.services.events import EventReader
from slimcast_web.services.history import StateHistory
from slimcast_web.services.layer_desk import LayerDesk
from slimcast_web.services.simulated_camera import SimulatedCamera
from slimcast_web.services.variants import VariantReader

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub
    from slimcast.jobs.queue import JobQueue
    from slimcast.store import Store

log = logging.getLogger(__name__)


class StudioClosed(SlimcastError):
    """A page was asked for while the studio is not open."""


class Part(Protocol):
    """Something that is started with the app and stopped with it."""

    def start(self) -> None:
        """Start; must come back within seconds."""

    def stop(self) -> None:
        """Stop, and wait until it has."""


@dataclass(kw_only=True)
class Studio:
    """What the pages and routes work with.

    Attributes:
        broker: the embedded broker, None when another one is used.
        problems: what could not be started, in sentences for the user; the rest of the app works on.

    """

    settings: Settings
    store: "Store"
    queue: "JobQueue"
    hub: "FleetHub"
    broker: Part | None = None
    problems: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Make what reads from the parts."""
        self.history = StateHistory(self.hub)
        self.events = EventReader(self.store)
        self.enrolment = EnrolmentDesk(self.settings, readmit=self.hub.readmit)
        self.variants = VariantReader(self.store)
        self.searches = SearchProcesses(self.settings, self.store)
        self.steward = make_steward(self.settings, self.hub, self.store)
        self.camera = SimulatedCamera(self.settings)
        self.benchmarks = BenchmarkDesk(hub=self.hub, store=self.store)
        self.layers = LayerDesk(store=self.store)

    def start(self) -> None:
        """Start all parts. One that fails is noted and does not keep the others from starting."""
        for name, part in self._parts():
            try:
                part.start()
            except SlimcastError as error:
                log.error("%s did not start: %s", name, error)
                self.problems.append(f"{name} did not start. {error}")

    def stop(self) -> None:
        """Stop all parts in reverse order, then close the store."""
        for name, part in reversed(self._parts()):
            try:
                part.stop()
            except Exception:  # one part's failure must not leave the others running
                log.exception("%s did not stop cleanly", name)
        with suppress(SlimcastError):
            self.store.close()

    def _parts(self) -> list[tuple[str, Part]]:
        parts = [
            ("The embedded broker", self.broker),
            ("The fleet hub", self.hub),
            ("The job queue", self.queue),
            ("The searches", self.searches),
            ("The history of devices", self.history),
            ("The fleet's steward", self.steward),
            ("The simulated camera", self.camera),
        ]
        return [(name, part) for name, part in parts if part is not None]


def open_studio(settings: Settings) -> Studio:
    """Open the store and make the parts; nothing runs until `Studio.start`."""
    from slimcast.fleet.broker import EmbeddedBroker
    from slimcast.fleet.hub import FleetHub
    from slimcast.jobs.queue import JobQueue
    from slimcast.store import Store

    store = Store.open(settings)
    return Studio(
        settings=settings,
        store=store,
        queue=JobQueue(settings, store),
        hub=FleetHub(settings, store),
        broker=None if settings.broker_url else EmbeddedBroker(settings),
    )


_current: Studio | None = None


def use(studio: Studio | None) -> None:
    """Set the studio that pages and routes work with; the app's lifespan calls this."""
    global _current
    _current = studio


def current() -> Studio:
    """Return the open studio.

    Raises:
        StudioClosed: the app is starting up or shutting down.

    """
    if _current is None:
        raise StudioClosed("The studio is not open. Start it with: slimcast app")
    return _current

"""Puts the parts together, starts their threads and stops them."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from slimcast_edge import memory
from slimcast_edge.client import assembly
from slimcast_edge.client.cameras import Cameras
from slimcast_edge.client.commands import Benchmark
from slimcast_edge.client.dispatch import Desks, Dispatch
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.host import ClientHost
from slimcast_edge.client.introduction import Introduction
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified, InferLoop
from slimcast_edge.client.namesake import Namesake
from slimcast_edge.client.operations import Operations
from slimcast_edge.client.outbox import Outbox, OutboxOptions
from slimcast_edge.client.reporter import Reporter
from slimcast_edge.client.snapshots import Album
from slimcast_edge.deploy.claim import Claim
from slimcast_edge.deploy.state import Deployment, StateFolder
from slimcast_edge.mqtt import Connection
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.wire import Event, EventKind, client_id

if TYPE_CHECKING:
    from slimcast_edge.client.comparing import Comparing
    from slimcast_edge.deploy.trial_process import TrialProcess

logger = logging.getLogger(__name__)

_STOP_S, _LEAVE_S = 0.9, 0.8
"""How long the parts may take to stop, and the broker to hear of it: together less than two seconds."""


class Client:
    """The cameras of one device with their model and their connection.

    Args:
        also: takes each classified frame as well, on the thread of the model.

    Raises (from `start`):
        AlreadyRunning: another client has the state folder.
        SettingsError: the state folder or the pinned key cannot be used.
        CameraError: no camera can be opened, and none will come by itself.
        ArtifactError: the model that the settings name is refused.
    """

    def __init__(self, settings: EdgeSettings, also: Callable[[Classified], None] | None = None) -> None:
        self._settings, self._also = settings, also
        self._session = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._trial: TrialProcess | None = None
        self._engine = Engine(settings.runtime_choice)
        self._benchmark = Benchmark(settings.runtime_choice)
        self._folder = StateFolder(settings.state_folder.expanduser())
        self._claim = Claim(self._folder.folder)
        self._introduction = Introduction(settings, self._engine, self._session)
        self._cameras = Cameras(settings.all_cameras(), self._engine, self._stopping, self._tell_trouble)
        self._connection = self._make_connection()
        leases = Leases()
        self._outbox = self._make_outbox(leases)
        self._host = ClientHost(
            self._connection,
            self._engine,
            self._outbox,
            self._cameras,
            site=settings.site,
            device=settings.device,
        )
        self._dispatch = Dispatch(
            Desks(
                engine=self._engine,
                outbox=self._outbox,
                leases=leases,
                host=self._host,
                benchmark=self._benchmark,
                folder=self._folder,
                namesake=Namesake(
                    self._introduction.status(online=True),
                    settings.device,
                    correct=self._say_online,
                    tell=self._tell_trouble,
                ),
            )
        )
        self._reporter = Reporter(
            settings, self._session, self._cameras, self._outbox, self._host, self._connection
        )
        self._operations = Operations(
            settings, self._connection, vitals=self._reporter.vitals, picture=self._outbox.request_frame
        )

    def start(self) -> None:
        """Classify frames from now on, then connect; returns once all threads run."""
        self._claim.take()
        self._cameras.open()
        deployment = assembly.load_model(self._settings, self._folder, self._engine, self._host)
        infer = InferLoop(self._cameras.frames, self._engine, self._cameras.traffic, self._hand_on)
        self._spawn("infer", infer.run)
        self._cameras.start(self._spawn)
        # From here on frames are classified; what follows may take its time.
        infer.second = self._deploy(deployment)
        self._spawn("publish", self._publish)
        self._connection.start()
        self._operations.start(self._threads, self._cameras.pulses | {"infer": [infer.pulse]})
        memory.give_back()

    def stop(self) -> None:
        """Stop everything, within two seconds; the broker learns that the device has left."""
        deadline = time.monotonic() + _STOP_S
        self._operations.stop()
        self._stopping.set()
        self._cameras.frames.close()
        self._outbox.stop()
        self._benchmark.stop()
        dispatch = self._dispatch
        for part in (dispatch.measuring, dispatch.comparing, self._trial, dispatch.machine):
            if part is not None:
                part.stop()
        waiting = [*self._cameras.close(), *self._threads, *dispatch.threads]
        for thread in waiting:  # what hangs, such as a driver, is left behind
            thread.join(max(0.0, deadline - time.monotonic()))
        last = (self._topic("status"), self._status(online=False))
        self._connection.stop(last, timeout=_LEAVE_S)
        self._claim.release()
        logger.info("Stopped.")

    def _make_connection(self) -> Connection:
        settings = self._settings
        return Connection(
            settings.broker_address(),
            client_id(settings.site, settings.device),
            site=settings.site,
            subscriptions=[self._topic("desired"), self._topic("status"), self._topic("cmd/+")],
            on_message=lambda address, payload: self._dispatch.on_message(address, payload),
            on_connect=self._on_connect,
            will=(self._topic("status"), self._status(online=False)),
        )

    def _make_outbox(self, leases: Leases) -> Outbox:
        settings = self._settings
        return Outbox(
            self._connection,
            leases,
            Album(self._folder.folder / "snapshots", kept=settings.snapshots_kept),
            identity=(settings.site, settings.device, self._session),
            options=OutboxOptions(
                kept_results=settings.buffer_results, away_picture_s=settings.away_picture_s
            ),
            cameras=self._cameras.names,
        )

    def _deploy(self, deployment: Deployment) -> "Comparing":
        """Obey orders from now on: make all parts that need the pinned keys."""
        from slimcast_edge.deploy.pinned import KeyRing
        from slimcast_edge.deploy.trial_process import TrialProcess

        settings = self._settings
        keys = KeyRing(settings.key_file, on_change=self._introduce)
        if not keys.keys():
            logger.warning("No studio's key is pinned: orders will be refused. Use: slimcast-edge enroll")
        self._introduction.fingerprints = keys.fingerprints
        self._trial = TrialProcess(
            settings.runtime_choice, max_latency_ms=settings.max_latency_ms, build_s=settings.build_s
        )
        machine = assembly.make_machine(
            settings,
            self._session,
            self._folder,
            self._host,
            keys=keys,
            trial=self._trial,
            deployment=deployment,
        )
        judge = assembly.make_judge(settings, self._session, keys)
        measuring = assembly.make_measuring(settings, self._folder, self._host, judge)
        comparing = assembly.make_comparing(settings, self._folder, self._host, judge, self._engine)
        self._dispatch.open(machine, measuring, comparing)
        self._host.before_swap = self._dispatch.make_way
        self._reporter.offered = lambda: machine.offered
        self._spawn("deploy", machine.run)
        return comparing

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hand_on(self, item: Classified) -> None:
        self._outbox.put(item)
        if self._also is not None:
            self._also(item)

    def _publish(self) -> None:
        interval_s = self._settings.telemetry_s
        last = time.monotonic()
        while self._outbox.run_once(max(0.0, last + interval_s - time.monotonic())):
            seconds = time.monotonic() - last
            if seconds >= interval_s:
                last += seconds
                telemetry = self._reporter.telemetry(seconds)
                self._connection.publish(self._topic("telemetry"), telemetry.encode())

    def _on_connect(self) -> None:
        self._connection.publish(self._topic("status"), self._status(online=True))
        self._introduce()
        self._host.report_again()
        for message in self._cameras.messages:  # what was said while nobody heard it
            self._tell_trouble(message)
        self._operations.announce()
        self._host.answer_again()

    def _status(self, *, online: bool) -> bytes:
        return self._introduction.status(online=online).encode()

    def _introduce(self) -> None:
        self._connection.publish(self._topic("about"), self._introduction.about())

    def _say_online(self) -> None:
        if not self._stopping.is_set():
            self._connection.publish(self._topic("status"), self._status(online=True))

    def _tell_trouble(self, message: str) -> None:
        self._host.tell(
            Event(session=self._session, at=time.time(), kind=EventKind.ERROR, message=message[:600])
        )

    def _topic(self, suffix: str) -> str:
        return f"slimcast/v1/{self._settings.site}/{self._settings.device}/{suffix}"

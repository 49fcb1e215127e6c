"""Puts the parts together, starts their threads and stops them."""

import logging
import platform
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from slimcast_edge import __version__
from slimcast_edge.bench import describe_machine, hardware
from slimcast_edge.camera import CAMERAS, Frame, open_camera
from slimcast_edge.client.commands import Benchmark, take_snapshot
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.host import ClientHost
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import CameraLoop, Classified, InferLoop, Source, Traffic
from slimcast_edge.client.operations import Operations
from slimcast_edge.client.outbox import Outbox, OutboxOptions
from slimcast_edge.client.snapshots import Album
from slimcast_edge.client.vitals import Vitals
from slimcast_edge.deploy.port import DeployOptions
from slimcast_edge.deploy.startup import adopt, begin, open_first
from slimcast_edge.deploy.state import Deployment, StateFolder
from slimcast_edge.errors import WireError
from slimcast_edge.mqtt import Connection
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.slots import Slot
from slimcast_edge.telemetry import rss_mb, temperature_c, throttled
from slimcast_edge.wire import (
    About,
    Address,
    Command,
    Event,
    EventKind,
    Reply,
    Status,
    Telemetry,
    ViewLease,
    client_id,
    decode,
)

if TYPE_CHECKING:
    from slimcast_edge.client.comparing import Comparing
    from slimcast_edge.deploy.machine import Machine
    from slimcast_edge.deploy.pinned import KeyRing
    from slimcast_edge.deploy.trial_process import TrialProcess
    from slimcast_edge.measuring.desk import Measuring
    from slimcast_edge.measuring.judge import Judge

logger = logging.getLogger(__name__)


class Client:
    """One camera with its model and its connection.

    Args:
        also: takes each classified frame as well, on the thread of the model.

    Raises (from `start`):
        SettingsError: the state folder or the pinned key cannot be used.
        CameraError: the camera cannot be opened, and will not come by itself.
        ArtifactError: the model that the settings name is refused.
    """

    def __init__(self, settings: EdgeSettings, also: Callable[[Classified], None] | None = None) -> None:
        self._settings, self._also = settings, also
        self._session = secrets.token_hex(8)
        self._since = time.time()
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self.counters: Counter[str] = Counter()
        self._leases = Leases()
        self._traffic = Traffic()
        self._slot: Slot[Frame] = Slot()
        self._engine = Engine(settings.runtime_choice)
        self._benchmark = Benchmark(settings.runtime_choice)
        self._connection = Connection(
            settings.broker_address(),
            client_id(settings.site, settings.device),
            site=settings.site,
            subscriptions=[self._topic("desired"), self._topic("status"), self._topic("cmd/+")],
            on_message=self._on_message,
            on_connect=self._on_connect,
            will=(self._topic("status"), self._status(online=False)),
        )
        self._folder = StateFolder(settings.state_folder.expanduser())
        self._outbox = Outbox(
            self._connection,
            self._leases,
            Album(self._folder.folder / "snapshots", kept=settings.snapshots_kept),
            identity=(settings.site, settings.device, self._session),
            options=OutboxOptions(
                kept_results=settings.buffer_results, away_picture_s=settings.away_picture_s
            ),
        )
        self._host = ClientHost(
            self._connection, self._engine, self._outbox, site=settings.site, device=settings.device
        )
        self._last_telemetry: Telemetry | None = None
        self._operations = Operations(
            settings, self._connection, vitals=self._vitals, picture=self._outbox.request_frame
        )
        self._camera_loop = CameraLoop(
            self._source(), self._slot, self._engine, self._traffic, self._stopping
        )
        self._host.look = self._camera_loop.look
        self._machine: Machine | None = None
        self._measuring: Measuring | None = None
        self._comparing: Comparing | None = None
        self._keys: KeyRing | None = None
        self._trial: TrialProcess | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Classify frames from now on, then connect; returns once all threads run."""
        self._camera_loop.open()
        deployment = self._load_model()
        infer = InferLoop(self._slot, self._engine, self._traffic, self._hand_on)
        self._spawn("infer", infer.run)
        self._spawn("camera", self._camera_loop.run)
        # From here on frames are classified; what follows may take its time.
        self._machine = self._make_machine(deployment)
        judge = self._make_judge()
        self._measuring, self._comparing = self._make_measuring(judge), self._make_comparing(judge)
        infer.second = self._comparing.answer
        self._host.before_swap = self._make_way
        self._spawn("deploy", self._machine.run)
        self._spawn("publish", self._publish)
        self._connection.start()
        self._operations.start(self._threads, {"camera": self._camera_loop.pulse, "infer": infer.pulse})

    def stop(self) -> None:
        """Stop everything, within two seconds; the broker learns that the device has left."""
        self._operations.stop()
        self._stopping.set()
        self._slot.close()
        self._outbox.stop()
        self._benchmark.stop()
        if self._measuring is not None:
            self._measuring.stop()
        if self._comparing is not None:
            self._comparing.stop()
        if self._trial is not None:
            self._trial.stop()
        if self._machine is not None:
            self._machine.stop()
        self._camera_loop.close()
        deadline = time.monotonic() + 1.0
        for thread in self._threads:
            thread.join(max(0.01, deadline - time.monotonic()))
        self._connection.stop((self._topic("status"), self._status(online=False)), timeout=0.8)
        logger.info("Stopped.")

    def _hand_on(self, item: Classified) -> None:
        self._outbox.put(item)
        if self._also is not None:
            self._also(item)

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _source(self) -> Source:
        kind, settings = self._settings.camera_kind, self._settings.camera_settings()
        return Source(
            open=lambda: open_camera(kind, settings),
            reopens=CAMERAS[kind].reopens,
            view=settings.view,
            tell=self._tell_trouble,
        )

    def _tell_trouble(self, message: str) -> None:
        self._host.tell(
            Event(session=self._session, at=time.time(), kind=EventKind.ERROR, message=message[:600])
        )

    def _load_model(self) -> Deployment:
        now = begin(self._folder)
        if now.active is None and now.revision == 0 and self._settings.model is not None:
            now = adopt(self._folder, now, self._settings.model.expanduser())
        if now.order is not None:
            self._outbox.stream = now.order.stream
            self._camera_loop.look(now.order.camera)
        now, loaded = open_first(self._folder, now, self._engine.open)
        self._engine.swap(loaded)
        if loaded is None:
            logger.info("There is no model on this device yet. Waiting for the studio to publish one.")
        return now

    def _make_machine(self, deployment: Deployment) -> "Machine":
        from slimcast_edge.deploy.machine import Machine
        from slimcast_edge.deploy.trial_process import TrialProcess

        settings = self._settings
        self._keys = self._open_keys()
        self._trial = TrialProcess(
            settings.runtime_choice, max_latency_ms=settings.max_latency_ms, build_s=settings.build_s
        )
        return Machine(
            folder=self._folder,
            host=self._host,
            trial=self._trial,
            identity=(settings.site, settings.device, self._session),
            keys=self._keys,
            options=self._deploy_options(),
            deployment=deployment,
        )

    def _deploy_options(self) -> DeployOptions:
        settings = self._settings
        return DeployOptions(
            probation_s=settings.probation_s,
            probation_frames=settings.probation_frames,
            probation_errors=settings.probation_errors,
            stall_s=settings.stall_s,
            max_artifact_bytes=int(settings.max_artifact_mb * 1e6),
            max_download_kbps=settings.max_download_kbps,
        )

    def _make_judge(self) -> "Judge":
        from slimcast_edge.measuring.judge import Judge

        return Judge(
            site=self._settings.site,
            device=self._settings.device,
            session=self._session,
            keys=(self._keys or self._open_keys()).keys,
            max_bytes=self._deploy_options().max_artifact_bytes,
        )

    def _make_measuring(self, judge: "Judge") -> "Measuring":
        from slimcast_edge.measuring.desk import Measuring, MeasuringPlace
        from slimcast_edge.runtime.onnx import VERSION

        settings, options = self._settings, self._deploy_options()
        place = MeasuringPlace(
            folder=self._folder.folder / "measuring",
            models=self._folder.model_path,
            choice=settings.runtime_choice,
            version=VERSION,
            options=options,
        )
        return Measuring(place, self._host, judge)

    def _make_comparing(self, judge: "Judge") -> "Comparing":
        from slimcast_edge.client.comparing import Comparing, ComparingPlace
        from slimcast_edge.deploy.trial_process import TrialProcess

        place = ComparingPlace(
            folder=self._folder.folder / "comparing",
            models=self._folder.model_path,
            # It is never put to work, so it may be slower than what may be.
            trial=lambda: TrialProcess(
                self._settings.runtime_choice, max_latency_ms=None, build_s=self._settings.build_s
            ),
            options=self._deploy_options(),
        )
        return Comparing(place, self._host, judge, self._engine)

    def _make_way(self) -> None:
        """Let a new model have the device for itself."""
        if self._measuring is not None:
            self._measuring.interrupt()
        if self._comparing is not None:
            self._comparing.interrupt()

    def _open_keys(self) -> "KeyRing":
        from slimcast_edge.deploy.pinned import KeyRing

        ring = KeyRing(self._settings.key_file, on_change=self._introduce)
        if not ring.keys():
            logger.warning("No studio's key is pinned: orders will be refused. Use: slimcast-edge enroll")
        return ring

    # What arrives; called by the connection's worker.

    def _on_connect(self) -> None:
        self._connection.publish(self._topic("status"), self._status(online=True))
        self._introduce()
        self._host.report_again()
        if self._camera_loop.trouble:  # what was said while nobody heard it
            self._tell_trouble(self._camera_loop.trouble)
        self._operations.announce()
        self._host.answer_again()

    def _on_message(self, address: Address, payload: bytes) -> None:
        try:
            self._dispatch(address, payload)
        except WireError as error:
            logger.warning("Dropped a message: %s", error)
            self.counters["dropped_malformed"] += 1

    def _dispatch(self, address: Address, payload: bytes) -> None:
        machine, measuring, comparing = self._machine, self._measuring, self._comparing
        if address.suffix == "blob" and len(address.tail) < 9 and machine is not None:
            number = int(address.tail)
            desks = [desk for desk in (measuring, comparing) if desk is not None]
            if not any(desk.chunk(address.device, number, payload) for desk in desks):
                machine.chunk(address.device, number, payload)
        elif address.suffix == "cmd/compare":
            if comparing is not None:
                comparing.order(payload)
        elif address.suffix == "cmd/measure":
            if measuring is not None:
                measuring.order(payload)
        elif address.suffix == "desired" and machine is not None:
            if payload:  # an empty one means that the studio has taken its order back
                machine.order(payload)
        elif address.suffix == "status":
            self._check_own_status(payload)
        elif address.suffix == "cmd/view":
            self._leases.renew(decode(ViewLease, address.suffix, payload))
        elif address.suffix.startswith("cmd/"):
            self._command(address.suffix.removeprefix("cmd/"), decode(Command, address.suffix, payload))

    def _check_own_status(self, payload: bytes) -> None:
        # The broker may publish the will of our last connection after this one has begun.
        if not decode(Status, "status", payload).online and not self._stopping.is_set():
            self._connection.publish(self._topic("status"), self._status(online=True))

    def _command(self, name: str, command: Command) -> None:
        current = self._engine.current
        if name == "benchmark":
            path = self._folder.model_path(current.entry.sha256) if current else None
            self._benchmark.start(command, path, self._host.answer)
        elif name == "snapshot":
            take_snapshot(command, self._outbox, self._host.answer, has_model=current is not None)
        elif name == "rollback" and self._machine is not None:
            self._machine.roll_back(
                lambda error: self._host.answer(Reply(id=command.id, ok=not error, error=error))
            )

    # What leaves.

    def _publish(self) -> None:
        interval_s = self._settings.telemetry_s
        last = time.monotonic()
        while self._outbox.run_once(max(0.0, last + interval_s - time.monotonic())):
            seconds = time.monotonic() - last
            if seconds >= interval_s:
                last += seconds
                self._last_telemetry = self._telemetry(seconds)
                self._connection.publish(self._topic("telemetry"), self._last_telemetry.encode())

    def _telemetry(self, seconds: float) -> Telemetry:
        latencies_ms = self._traffic.take_latencies()
        p50, p90 = np.percentile(latencies_ms, (50, 90)) if latencies_ms else (0.0, 0.0)
        labels, labels_other = self._traffic.take_labels()
        return Telemetry(
            session=self._session,
            at=time.time(),
            uptime_s=time.monotonic() - self._started,
            fps=len(latencies_ms) / seconds,
            latency_p50_ms=float(p50),
            latency_p90_ms=float(p90),
            frames=self._traffic.frames,
            dropped=self._traffic.dropped,
            rss_mb=rss_mb(),
            temperature_c=temperature_c(),
            throttled=throttled(),
            stream=self._outbox.report(seconds),
            labels=labels,
            labels_other=labels_other,
        )

    def _vitals(self) -> Vitals:
        traffic, machine = self._traffic, self._machine
        return Vitals(
            site=self._settings.site,
            device=self._settings.device,
            session=self._session,
            telemetry=self._last_telemetry,
            best=traffic.last.predictions[0] if traffic.last else None,
            reported=self._host.last_reported,
            offered=machine.offered if machine else None,
            latencies_ms=traffic.recent_latencies_ms,
            latency_sum_s=traffic.latency_sum_ms / 1e3,
            frames=traffic.frames,
            dropped=traffic.dropped,
            connected=self._connection.connected,
            reconnects=self._connection.counters["reconnects"],
        )

    def _introduce(self) -> None:
        self._connection.publish(self._topic("about"), self._about().encode())

    def _about(self) -> About:
        from slimcast_edge.runtime.onnx import VERSION

        keys = self._keys.fingerprints() if self._keys else []
        current = self._engine.current
        return About(
            session=self._session,
            hardware=hardware()[:200],
            os=platform.platform()[:200],
            client=__version__,
            python=platform.python_version(),
            camera=self._settings.camera_kind,
            runtime=self._settings.runtime,
            providers=[current.runtime.provider] if current else [],
            threads=self._settings.threads,
            key_fingerprint=keys[0] if keys else "",
            key_fingerprints=keys,
            machine=describe_machine()[:300],
            runtime_version=VERSION,
            provider_reason=current.runtime.reason[:400] if current else "",
        )

    def _status(self, *, online: bool) -> bytes:
        return Status(online=online, session=self._session, since=self._since).encode()

    def _topic(self, suffix: str) -> str:
        return f"slimcast/v1/{self._settings.site}/{self._settings.device}/{suffix}"

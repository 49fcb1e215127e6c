"""For tests of the web app: a hub and a queue without MQTT and Dask, runs as a worker leaves them, frames."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from optuna.trial import TrialState

from slimcast.errors import FleetError
from slimcast.fleet.comparing import Comparison
from slimcast.fleet.measuring import Assignment
from slimcast.fleet.records import Device, FramePacket, source_name
from slimcast.recipe import parse_recipe
from slimcast.records import EventKind, Measurement, Run, RunState, Search, Variant
from slimcast.search import parse_search
from slimcast.search.outcome import exceeded
from slimcast.search.space import draw
from slimcast.search.study import open_storage, open_study
from slimcast.store import Store
from slimcast_edge import wire
from slimcast_edge.wire import DeviceState
from slimcast_web.services import compress
from support_search import BASELINE, figures, search_text

MACHINE = "Example CPU, 2 cores, Linux x86_64"


@dataclass
class FakeComparing:
    """The hub's port to comparisons: who compares what, and how it stands as the test says."""

    joined: dict[str, tuple[str, str, set[str]]] = field(default_factory=dict)
    standing: dict[str, Comparison] = field(default_factory=dict)
    refusal: str = ""

    def join(self, device: str, artifact: str, name: str, viewer: str) -> None:
        if self.refusal:
            raise FleetError(self.refusal)
        self.joined.setdefault(device, (artifact, name, set()))[2].add(viewer)

    def leave(self, device: str, viewer: str) -> None:
        if device in self.joined:
            self.joined[device][2].discard(viewer)
            if not self.joined[device][2]:
                del self.joined[device]

    def of(self, device: str) -> Comparison | None:
        return self.standing.get(device)


@dataclass
class FakeHub:
    """The hub's port: known devices, orders noted instead of sent, frames given by the test."""

    known: list[Device] = field(default_factory=list)
    orders: list[tuple[str, str, str]] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    watchers: dict[str, dict[str, Callable[[FramePacket], None]]] = field(default_factory=dict)
    connected: bool = True
    stream_orders: list[tuple[str, wire.StreamSettings | None]] = field(default_factory=list)
    views: list[tuple[str, wire.CameraView | None]] = field(default_factory=list)
    taken: list[FramePacket] = field(default_factory=list)
    measured: list[tuple[str, Assignment]] = field(default_factory=list)
    comparing: FakeComparing = field(default_factory=FakeComparing)
    broker_problem: str = ""
    refusal: str = ""
    started: bool = False
    readmitted: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def turn_out(self, device: str) -> None:
        self.known = [one for one in self.known if one.name != device]

    def readmit(self, device: str) -> None:
        self.readmitted.append(device)

    @property
    def counters(self) -> dict[str, int]:
        return {"frames": 3, "dropped_malformed": 1}

    def devices(self) -> list[Device]:
        return list(self.known)

    def device(self, name: str) -> Device:
        for device in self.known:
            if device.name == name:
                return device
        raise FleetError(f"Nothing has been heard of a device {name!r}.")

    def watch(self, device: str, viewer: str, callback: Callable[[FramePacket], None], camera: str = ""):
        name = source_name(device, camera)
        self.watchers.setdefault(name, {})[viewer] = callback
        return lambda: self.watchers[name].pop(viewer)

    def deliver(self, packet: FramePacket) -> None:
        for callback in list(self.watchers.get(packet.source, {}).values()):
            callback(packet)

    def measure(self, device: str, what: Assignment, timeout_s: float) -> wire.Measured:
        if self.refusal:
            raise FleetError(self.refusal)
        self.measured.append((device, what))
        models = [
            wire.ModelFigures(
                sha256=sha256, provider="CPUExecutionProvider", p50_ms=4.0, p90_ms=5.0, p99_ms=6.0,
                mean_ms=4.2, std_ms=0.3, runs=400, slowdown=1.25, peak_rss_mb=60.0, throttled=True,
            )
            for sha256, _ in what.models
        ]  # fmt: skip
        return wire.Measured(
            machine="Raspberry Pi 5, 4 cores", runtime="onnxruntime 1.31", threads=2, camera="running",
            models=models,
        )  # fmt: skip

    def publish(self, device: str, artifact_sha256: str, name: str) -> int:
        if self.refusal:
            raise FleetError(self.refusal)
        self.orders.append((device, artifact_sha256, name))
        return 7

    def set_stream(self, device: str, stream: wire.StreamSettings | None, camera: str = "") -> int:
        if self.refusal:
            raise FleetError(self.refusal)
        self.stream_orders.append((source_name(device, camera), stream))
        return 8

    def set_camera(self, device: str, view: wire.CameraView | None, camera: str = "") -> int:
        if self.refusal:
            raise FleetError(self.refusal)
        self.views.append((source_name(device, camera), view))
        return 9

    def snapshots(self, device: str) -> list[FramePacket]:
        return [packet for packet in self.taken if packet.device == device]

    def forget(self, name: str) -> None:
        self.known = [device for device in self.known if device.name != name]

    def command(self, device: str, name: str, args: dict, timeout_s: float) -> wire.Reply:
        self.commands.append((device, name))
        return wire.Reply(id="x", ok=not self.refusal, error=self.refusal, result={"frame": 5, "pictures": 2})


@dataclass
class FakeQueue:
    """The queue's port: rows in the real store, no process."""

    store: Store

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def submit(self, recipe) -> Run:
        return self.store.create_run(recipe)

    def cancel(self, run_id: str) -> Run:
        return self.store.request_cancel(run_id)

    def resume(self, run_id: str) -> Run:
        return self.store.requeue(run_id)


def device(
    name: str = "cam1", *, online: bool = True, state: DeviceState = DeviceState.ACTIVE, **reported
) -> Device:
    """A camera as the hub would know it."""
    now = time.time()
    return Device(
        name=name,
        status=wire.Status(online=online, session="s1", since=now),
        about=wire.About(
            session="s1", hardware="Raspberry Pi 5 Model B", os="Linux", client="0.1.0", camera="synthetic",
            runtime="onnxruntime", providers=["CPUExecutionProvider"], threads=2,
        ),
        reported=wire.Reported(
            session="s1", revision=3, state=state, active="a" * 64, active_name="lenet5-digits 3-int8",
            at=now,
            **reported,
        ),
        telemetry=wire.Telemetry(
            session="s1", at=now, uptime_s=60, fps=29.7, latency_p50_ms=0.21, latency_p90_ms=0.3, frames=900,
            dropped=2, rss_mb=91, temperature_c=51.0, throttled=False,
        ),
        last_seen=now,
    )  # fmt: skip


def with_cameras(known: Device, *names: str, trouble: str = "") -> Device:
    """The same device with several cameras; the last one is in trouble, if there is any."""
    assert known.about is not None
    assert known.telemetry is not None
    figures = {name: wire.CameraFigures(fps=10.0 + len(name), frames=9, dropped=0) for name in names}
    if trouble:
        figures[names[-1]] = figures[names[-1]].model_copy(update={"fps": 0.0, "trouble": trouble})
    cameras = [wire.CameraAbout(name=name, kind="synthetic") for name in names]
    return replace(
        known,
        about=known.about.model_copy(update={"cameras": cameras}),
        telemetry=known.telemetry.model_copy(update={"cameras": figures}),
    )


def packet(
    name: str = "cam1", number: int = 0, label: str = "7", size: int = 100, camera: str = ""
) -> FramePacket:
    """A frame; its JPEG is any bytes, since nothing on the server looks into it."""
    now = time.time()
    result = wire.Result(
        session="s1", frame=number, captured_at=now, classified_at=now, latency_ms=0.2, artifact="a" * 64,
        predictions=[wire.Prediction(label=label, index=7, score=0.98)], expected=label, camera=camera,
    )  # fmt: skip
    return FramePacket(device=name, jpeg=b"\xff\xd8" + b"x" * size, result=result, received_at=now)


def finished_run(store: Store, draft: compress.Draft | None = None) -> Run:
    """A run as the worker leaves it: events, four variants with files, succeeded."""
    run = running_run(store, draft)
    rows = [  # name, kind, numbers, accuracy, bytes, macs, ms
        ("0-train", "train", "float32", 0.978, 248_000, 416_520, 0.062),
        ("1-prune", "prune", "float32", 0.953, 79_000, 164_000, 0.038),
        ("2-finetune", "finetune", "float32", 0.972, 79_000, 164_000, 0.038),
        ("3-int8", "quantize", "int8", 0.969, 31_000, 164_000, 0.027),
    ]
    for step, (name, kind, numbers, accuracy, size, macs, latency) in enumerate(rows):
        artifact = store.artifacts.put(f"model {run.id} {name}".encode())
        store.save_variant(
            Variant(
                run_id=run.id, name=name, step=step, step_kind=kind, numeric_kind=numbers, artifact=artifact,
                measurements=measurements(accuracy, size, macs, latency),
            )
        )  # fmt: skip
    events = [
        (time.time(), EventKind.STEP, {"index": i, "kind": rows[i][1], "status": "finished"})
        for i in range(4)
    ]
    store.add_events(run.id, events)
    store.finish(run.id, RunState.SUCCEEDED)
    return store.run(run.id)


def running_run(store: Store, draft: compress.Draft | None = None) -> Run:
    """A run in the middle of its first step."""
    run = store.create_run(parse_recipe(compress.yaml_of(draft or compress.Draft())))
    store.claim(run.id, "test")
    now = time.time()
    events = [(now, EventKind.STEP, {"index": 0, "kind": "train", "status": "started"})]
    events += [(now, EventKind.LOG, {"text": "1 437 training images", "level": "info"})]
    for epoch in range(1, 6):
        for series, y in (
            ("train loss", 2.0 / epoch),
            ("test loss", 2.2 / epoch),
            ("test accuracy", 1 - 0.5 / epoch),
        ):
            events.append((now, EventKind.POINT, {"series": series, "x": float(epoch), "y": y, "step": 0}))
    store.add_events(run.id, events)
    store.heartbeat(run.id, progress=0.3, activity="Train: epoch 5 of 15")
    return store.run(run.id)


def measurements(accuracy: float, size: float, macs: float, latency_ms: float) -> tuple[Measurement, ...]:
    def one(
        name: str, value: float, unit: str = "", up: bool = False, n: int = 1, machine: str = ""
    ) -> Measurement:
        return Measurement(name=name, value=value, unit=unit, higher_is_better=up, n=n, machine=machine)

    return (
        one("accuracy", accuracy, up=True, n=360),
        one("params", size / 4),
        one("macs", macs),
        one("size_bytes", size, "B"),
        one("compressed_bytes", size * 0.9, "B"),
        one("sparsity", 0.0),
        one("agreement", 1.0, up=True, n=360),
        one("latency_p50_ms", latency_ms, "ms", n=500, machine=MACHINE),
        one("latency_p90_ms", latency_ms * 1.2, "ms", n=500, machine=MACHINE),
    )


def made_up_search(store: Store, trials: int = 4) -> Search:
    """A search that has ended: two trials within the budgets, one over them, one failed."""
    document = parse_search(search_text(trials=f"trials: {trials}"))
    found = store.searches.enqueue(document.name, document.hash, document.to_yaml())
    store.searches.claim(found.id, "test")
    storage = open_storage(store.database_url)
    study = open_study(storage, found, document)
    for kept in (0.4, 0.2, 1.0, None)[:trials]:
        trial = study.ask()
        draw(document.space, trial)
        trial.set_user_attr("run", f"run{trial.number:07d}")
        if kept is None:
            trial.set_user_attr("failed", True)
            trial.set_user_attr("reason", "Not <enough> memory.")
            study.tell(trial, state=TrialState.PRUNED)
            continue
        accuracy, size = figures(kept, is_int8=False)
        measured = {"accuracy": accuracy, "size_bytes": size, "accuracy_drop": BASELINE - accuracy}
        trial.set_user_attr("measured", measured)
        trial.set_user_attr("missed", exceeded(document.budgets, measured))
        study.tell(trial, [accuracy, size])
    storage.engine.dispose()
    store.searches.heartbeat(found.id, "test", progress=1.0, activity="")
    store.searches.finish(found.id, "test", RunState.SUCCEEDED)
    return store.searches.get(found.id)


@dataclass
class FakeSearches:
    """The port to the processes of searches: rows in the real store, no process."""

    store: Store
    resumed: list[str] = field(default_factory=list)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def submit(self, document) -> Search:
        return self.store.searches.enqueue(document.name, document.hash, document.to_yaml())

    def resume(self, search_id: str) -> None:
        self.resumed.append(search_id)

    def cancel(self, search_id: str) -> Search:
        return self.store.searches.request_cancel(search_id)

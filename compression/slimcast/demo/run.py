"""The steps of the demo, from an empty folder to live frames of a compressed model."""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from slimcast.demo.camera import DEVICE, prepare_camera
from slimcast.demo.children import Children
from slimcast.demo.recorder import Recorder
from slimcast.demo.setup import demo_recipe, demo_settings, only_one, signals_interrupt
from slimcast.errors import FleetError, StepError
from slimcast.fleet import EmbeddedBroker, FleetHub
from slimcast.fleet.board import last_heard
from slimcast.jobs.console import ConsoleReporter
from slimcast.jobs.process import run_in_process
from slimcast.records import RunState, Variant
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.wire import DeviceState

HOLD_FRAMES = 15
HOLD_FRAMES_ONCE = 3  # more pictures in the few seconds that are counted
COUNTED_FRAMES = 90
MIN_RIGHT = 0.8  # of the frames: far above chance, and below any accuracy that this network reaches
# Long: a child that fails is noticed at once, and a slow machine must not fail for being slow.
START_TIMEOUT_S, TRAIN_TIMEOUT_S, SETTLE_TIMEOUT_S, FRAMES_TIMEOUT_S = 300.0, 1800.0, 300.0, 180.0
_POLL_S = 0.1
T = TypeVar("T")


def run_demo(settings: Settings, *, once: bool) -> dict[str, Any]:
    """Train, compress, publish and watch a small network on this machine, and return what was measured.

    Args:
        settings: the user's; the demo keeps to a home of its own below theirs.
        once: no web app; returns as soon as everything was seen to work. Else it goes on until Ctrl-C.

    Returns:
        baseline_accuracy, accuracy (fractions); size_ratio, latency_ratio (baseline / compressed);
        frames, correct (streamed frames, and those with the right label); swap_gap_ms; seconds.

    Raises:
        SlimcastError: a step failed; says which and why.

    """
    with ExitStack() as stack:
        reporter = stack.enter_context(ConsoleReporter())
        stack.enter_context(signals_interrupt())
        stack.enter_context(only_one(settings.home / "demo"))
        demo = _Demo(demo_settings(settings, reporter.log), reporter, stack, once=once)
        summary = demo.run()
        if not once:
            demo.stay(summary)
        return summary


@dataclass(frozen=True, kw_only=True)
class _Published:
    """A variant that the camera runs, and its artifact."""

    variant: Variant
    artifact: str


class _Demo:
    """One showing. Whatever it starts is stopped when `stack` closes, the last first."""

    def __init__(
        self, settings: Settings, reporter: ConsoleReporter, stack: ExitStack, *, once: bool
    ) -> None:
        self._settings, self._reporter, self._stack, self._once = settings, reporter, stack, once
        self._started_at = time.monotonic()
        self._fraction, self._activity = 0.0, ""
        self._store = Store.open(settings)
        stack.callback(self._store.close)
        self._children = Children(settings.logs_folder)
        stack.callback(self._children.stop)
        self._recorder = Recorder()
        self._run_id = ""

    def run(self) -> dict[str, Any]:
        """Go through all steps and return the summary."""
        self._start_training()
        self._start_broker()
        self._start_camera()
        hub = self._connect()
        baseline = self._publish(hub, "0-train", "the float32 baseline")
        self._wait_frames(baseline, 1)
        first_s = self._recorder.first_frame_at - self._started_at
        self._say(f"The first labelled live frame came after {first_s:.1f} s.")
        self._step("Compressing: prune, fine-tune, quantize")
        self._until(lambda: self._run_state().is_finished(), "the training", TRAIN_TIMEOUT_S)
        last = [variant for variant in self._store.variants(self._run_id) if variant.artifact][-1]
        compressed = self._publish(hub, last.name, "the compressed model")
        self._step("Counting live frames")
        self._wait_frames(compressed, self._recorder.tally(compressed.artifact).frames + COUNTED_FRAMES)
        return self._summary(baseline, compressed)

    def stay(self, summary: dict[str, Any]) -> None:
        """Show the summary and the address, and go on until Ctrl-C."""
        self._say(json.dumps(summary, indent=2))
        self._say(f"Live at {self._settings.web_url('live')} - Ctrl-C stops it.")
        with suppress(KeyboardInterrupt):
            while True:
                self._children.check()
                time.sleep(0.5)
        self._say("Stopping.")

    # --- steps

    def _start_training(self) -> None:
        recipe = demo_recipe()
        for left_over in (RunState.QUEUED, RunState.RUNNING):  # by a demo that was killed
            for run in self._store.runs(state=left_over):
                self._store.request_cancel(run.id)
        self._step(f"Training {recipe.model.name} on {recipe.data.name}, in a process of its own")
        self._run_id = self._store.create_run(recipe).id
        stop = threading.Event()
        thread = threading.Thread(
            target=run_in_process,
            args=(self._run_id,),
            kwargs={"settings": self._settings, "store": self._store, "should_stop": stop.is_set},
            name="demo-training",
        )
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(stop.set)

    def _start_broker(self) -> None:
        if self._once:
            self._step(f"Starting the MQTT broker on port {self._settings.broker_port}")
            broker = EmbeddedBroker(self._settings)
            broker.start()
            self._stack.callback(broker.stop)
            return
        # The app brings the broker. Its queue would start a queued run, too, so that run goes first.
        self._until(lambda: self._run_state() is not RunState.QUEUED, "the training")
        self._step("Starting the web app with its MQTT broker")
        command = [sys.executable, "-m", "slimcast_web"]
        self._children.start("web app", command, self._settings.to_environment())
        self._until(self._app_answers, "the web app")
        self._say(f"The studio: {self._settings.web_url()}")

    def _start_camera(self) -> None:
        self._step("Starting a simulated camera that shows handwritten digits")
        command = prepare_camera(self._settings, hold_frames=HOLD_FRAMES_ONCE if self._once else HOLD_FRAMES)
        self._children.start("camera", command, {})

    def _connect(self) -> FleetHub:
        # A hub of our own beside the app's: it needs only the broker, and both agree over retained state.
        hub = FleetHub(self._settings, self._store)
        hub.start()
        self._stack.callback(hub.stop)
        self._until(lambda: _camera_is_ready(hub), "the camera")
        hub.watch(DEVICE, "demo", self._recorder.on_frame)
        hub.watch_results(DEVICE, "demo", self._recorder.on_result)
        return hub

    def _publish(self, hub: FleetHub, name: str, what: str) -> _Published:
        variant = self._until(lambda: self._variant(name), what, TRAIN_TIMEOUT_S)
        artifact = str(variant.artifact)
        accuracy, size_bytes = variant.value("accuracy") or 0.0, variant.value("size_bytes") or 0.0
        self._step(f"Publishing {what}: {accuracy:.1%} accurate, {size_bytes / 1000:.0f} kB")
        revision = hub.publish(DEVICE, artifact, f"lenet5 {name}")
        self._until(lambda: _has_settled(hub, revision), "the camera to put it to work", SETTLE_TIMEOUT_S)
        device = hub.device(DEVICE)
        reported = device.reported
        if reported is None or reported.state is not DeviceState.ACTIVE or reported.active != artifact:
            raise FleetError(f"The camera did not put {what} to work. {last_heard(device)}")
        return _Published(variant=variant, artifact=artifact)

    def _wait_frames(self, published: _Published, count: int) -> None:
        def enough() -> bool:
            return self._recorder.tally(published.artifact).frames >= count

        self._until(enough, f"{count} frames that {published.variant.name} has classified", FRAMES_TIMEOUT_S)

    def _summary(self, baseline: _Published, compressed: _Published) -> dict[str, Any]:
        swap, counted = self._recorder.swap(compressed.artifact), self._recorder.tally()
        if swap is None:
            raise FleetError("No results were seen on both sides of the model swap.")
        if counted.correct < MIN_RIGHT * counted.frames:
            raise FleetError(f"Only {counted.correct} of {counted.frames} live frames had the right label.")
        if swap.lost:
            self._reporter.log(f"{swap.lost} frames around the swap brought no result.", "warning")

        def ratio(name: str) -> float:
            before, after = baseline.variant.value(name), compressed.variant.value(name)
            return round(before / after, 3) if before and after else 0.0

        return {
            "baseline_accuracy": baseline.variant.value("accuracy"),
            "accuracy": compressed.variant.value("accuracy"),
            "size_ratio": ratio("size_bytes"),
            "latency_ratio": ratio("latency_p50_ms"),
            "frames": counted.frames,
            "correct": counted.correct,
            "swap_gap_ms": round(swap.gap_ms, 1),
            "seconds": round(time.monotonic() - self._started_at, 1),
        }

    # --- waiting and telling

    def _until(self, condition: Callable[[], T | None], what: str, timeout_s: float = START_TIMEOUT_S) -> T:
        """Return what `condition` returns once that is true; fails when a child or the training does."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            self._children.check()
            self._check_training()
            if time.monotonic() > deadline:
                raise FleetError(
                    f"Waited {timeout_s:g} s in vain for {what}. Logs: {self._settings.logs_folder}"
                )
            time.sleep(_POLL_S)
        return value

    def _check_training(self) -> None:
        run = self._store.run(self._run_id)
        if run.state not in {RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED}:
            raise StepError(f"The training is {run.state}: {run.error or 'it said nothing'}")
        self._fraction = max(self._fraction, 0.9 * run.progress)
        # Without a bar every change would be a line of its own.
        detailed = sys.stderr.isatty() and run.state is RunState.RUNNING and run.activity
        doing = f" ({run.activity})" if detailed else ""
        self._reporter.progress(self._fraction, self._activity + doing)

    def _run_state(self) -> RunState:
        return self._store.run(self._run_id).state

    def _variant(self, name: str) -> Variant | None:
        return next((v for v in self._store.variants(self._run_id) if v.name == name and v.artifact), None)

    def _app_answers(self) -> bool:
        try:
            # Without the proxy that the environment may name: it does not know this machine's own ports.
            with build_opener(ProxyHandler({})).open(
                self._settings.web_url("healthz", from_here=True), timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _step(self, activity: str) -> None:
        self._activity = activity
        self._say(f"{activity} ...")

    def _say(self, text: str) -> None:
        self._reporter.log(text)


def _camera_is_ready(hub: FleetHub) -> bool:
    device = next((device for device in hub.devices() if device.name == DEVICE), None)
    return device is not None and device.online and device.about is not None and device.reported is not None


def _has_settled(hub: FleetHub, revision: int) -> bool:
    reported = hub.device(DEVICE).reported
    return reported is not None and reported.revision >= revision and reported.state.is_settled()

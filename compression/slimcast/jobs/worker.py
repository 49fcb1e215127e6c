"""The work of one run, in the process that it has for itself."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType

from slimcast.errors import Cancelled, RunStateError, StoreError
from slimcast.jobs.console import ConsoleReporter
from slimcast.jobs.liveness import worker_name
from slimcast.jobs.reporter import StoreReporter
from slimcast.measure.clock import Clocks
from slimcast.recipe import Recipe, parse_recipe
from slimcast.records import Run, RunState, Variant
from slimcast.reporting import Reporter
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.errors import SlimcastError

FLUSH_S = 0.25
HEARTBEAT_S = 0.5
GRACE_S = 2.0
"""How long the work may take to stop by itself. With the heartbeat: a cancel takes effect within 3 s."""

Pipeline = Callable[..., list[Variant]]
"""``run_recipe(recipe, *, run_id, store, settings, reporter)``."""


class _Terminated(BaseException):
    """Somebody asks this process to end (SIGTERM). No Exception, so that no library swallows it."""


def execute(
    run_id: str,
    *,
    settings: Settings,
    store: Store,
    console: bool,
    pipeline: Pipeline | None = None,
    clocks: Clocks | None = None,
    at_hard_end: Callable[[], None] = lambda: None,
) -> Run:
    """Do the work of a queued run in this process, and return the run as it has ended.

    Failures of the work end in the run's row, not in an exception.

    Args:
        run_id: of the run. settings, store: where it lies.
        console: whether to show how it goes.
        pipeline: what does the work; None: the engine's own.
        clocks: finds devices that measure for the engine's own.
        at_hard_end: called, in another thread, once the run is put down as cancelled and before this process
            ends at once, since its work does not stop by itself: then this function never returns.

    Raises:
        RunStateError: somebody else has it, or it is not queued.
    """
    run = store.run(run_id)
    with _sigterm_raises(), ExitStack() as stack:
        if not store.claim(run.id, worker_name()):
            raise RunStateError(
                f"Run {run.id} is {store.run(run.id).state}: only a queued run can be started."
            )
        shown = stack.enter_context(ConsoleReporter()) if console else None
        reporter = StoreReporter(store, run.id, shown)
        pulse = _Pulse(store, run.id, reporter, at_hard_end)
        pulse.start()
        try:
            state, error = _work(
                run, settings, store, reporter, pipeline or partial(_pipeline, clocks=clocks)
            )
        finally:
            pulse.stop()
        reporter.flush()
        _finish(store, run.id, state, error)
    return store.run(run.id)


def _work(
    run: Run, settings: Settings, store: Store, reporter: StoreReporter, pipeline: Pipeline
) -> tuple[RunState, str]:
    try:
        recipe = parse_recipe(run.recipe_yaml)
        pipeline(recipe, run_id=run.id, store=store, settings=settings, reporter=reporter)
    except (Cancelled, KeyboardInterrupt):
        return RunState.CANCELLED, ""
    except _Terminated:
        return (
            RunState.INTERRUPTED,
            "Its process was asked to end. Resume it to go on after its last finished step.",
        )
    except SlimcastError as error:
        reporter.log(str(error), "error")
        return RunState.FAILED, str(error)
    except (
        Exception
    ) as error:  # a defect, of ours or of a library: the run says so, and the log has the trace
        reporter.log(traceback.format_exc(), "error")
        return RunState.FAILED, f"{type(error).__name__}: {error}"
    return RunState.SUCCEEDED, ""


def _pipeline(
    recipe: Recipe,
    *,
    run_id: str,
    store: Store,
    settings: Settings,
    reporter: Reporter,
    clocks: Clocks | None,
) -> list[Variant]:
    reporter.progress(0.0, "loading the engine")
    from slimcast.pipeline import run_recipe  # seconds: the row is claimed and beats before torch is imported

    return run_recipe(recipe, run_id=run_id, store=store, settings=settings, reporter=reporter, clocks=clocks)


def _finish(store: Store, run_id: str, state: RunState, error: str) -> None:
    try:
        store.finish(run_id, state, error)
    except RunStateError:
        # Somebody has settled it meanwhile; the row is the truth, and the caller shows the row.
        print(f"Run {run_id} was ended by somebody else meanwhile.", file=sys.stderr)


class _Pulse:
    """A thread that writes events, beats, and ends the process when the work does not stop by itself."""

    def __init__(
        self, store: Store, run_id: str, reporter: StoreReporter, at_hard_end: Callable[[], None]
    ) -> None:
        self._store, self._run_id, self._reporter = store, run_id, reporter
        self._at_hard_end = at_hard_end
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating: the work is done."""
        self._done.set()
        self._thread.join(timeout=GRACE_S)

    def _beat(self) -> None:
        next_beat, deadline = 0.0, float("inf")
        while not self._done.wait(FLUSH_S):
            self._reporter.flush()
            now = time.monotonic()
            if now >= next_beat and deadline == float("inf"):
                next_beat = now + HEARTBEAT_S
                if not self._may_go_on():
                    self._reporter.cancelled.set()
                    deadline = now + GRACE_S
            if now >= deadline:
                self._end_process()

    def _may_go_on(self) -> bool:
        try:
            return self._store.heartbeat(
                self._run_id, progress=self._reporter.fraction, activity=self._reporter.activity
            )
        except StoreError as error:
            # A full disk or a database that is away: the work goes on; a later heartbeat may succeed.
            print(f"Heartbeat: {error}", file=sys.stderr)
            return True

    def _end_process(self) -> None:
        try:
            self._reporter.flush()
            _finish(self._store, self._run_id, RunState.CANCELLED, "")
            print(f"Run {self._run_id} is cancelled.", file=sys.stderr, flush=True)
            self._at_hard_end()
        except Exception:  # whatever it is, the process must end; then this is the last that can be said
            traceback.print_exc()
        finally:
            # The main thread sits in native code that no exception reaches.
            os._exit(130)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask_to_end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the end must be put down in peace
        raise _Terminated

    before = signal.signal(signal.SIGTERM, ask_to_end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

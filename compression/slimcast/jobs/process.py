"""One process for each run: started, watched, and its end put down truthfully whatever way it came."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from slimcast.errors import RunStateError, StoreError
from slimcast.records import RunState
from slimcast.settings import Settings
from slimcast.store import Store

COMMAND = (sys.executable, "-m", "slimcast")
_POLL_S = 0.2
_CANCEL_GRACE_S = 2.7
_STOP_GRACE_S = 3.0
_ASKED_TO_END = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def run_in_process(
    run_id: str,
    *,
    settings: Settings,
    store: Store,
    should_stop: Callable[[], bool] = lambda: False,
    command: Sequence[str] = COMMAND,
) -> None:
    """Start the process of a queued run and stay until it has ended; its output goes into logs/ID.log.

    Args:
        run_id: the run; nothing happens when it is not queued any more.
        settings: given to the process as environment variables.
        store: where the end of a process that could not say so itself is put down.
        should_stop: asked several times a second; True ends the process, and its run is interrupted.
        command: what is started, before ``run --run-id ID``.
    """
    if store.run(run_id).state is not RunState.QUEUED:
        return
    log = settings.logs_folder / f"{run_id}.log"
    try:
        process = _start([*command, "run", "--run-id", run_id], settings, log)
    except OSError as error:
        _settle(store, run_id, RunState.FAILED, f"Its process could not be started: {error}")
        return
    try:
        _watch(process, run_id, store, should_stop)
    finally:
        _kill_group(process, signal.SIGKILL)  # whatever it has started and left behind
        process.wait()
    _settle(store, run_id, *_explain_end(process.returncode, log))


def _start(command: list[str], settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | settings.to_environment() | {"PYTHONUNBUFFERED": "1"}
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the app's terminal is not meant for the job.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _watch(
    process: subprocess.Popen[bytes], run_id: str, store: Store, should_stop: Callable[[], bool]
) -> None:
    cancel_seen_at: float | None = None
    while not _has_ended(process, _POLL_S):
        if should_stop():
            _kill_group(process, signal.SIGTERM)
            if not _has_ended(process, _STOP_GRACE_S):
                _kill_group(process, signal.SIGKILL)
            process.wait()
            _settle(store, run_id, RunState.INTERRUPTED, "The studio was stopped. Resume it to go on.")
            return
        if not _is_cancelled(store, run_id):
            continue
        # The process sees it too and is given time to end in order; native code can hold up all its threads.
        cancel_seen_at = cancel_seen_at or time.monotonic()
        if time.monotonic() - cancel_seen_at > _CANCEL_GRACE_S:
            _kill_group(process, signal.SIGKILL)
            process.wait()
            _settle(store, run_id, RunState.CANCELLED, "")
            return


def _has_ended(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _is_cancelled(store: Store, run_id: str) -> bool:
    try:
        run = store.run(run_id)
    except StoreError:
        return False  # a database that is away for a moment is no reason to stop the work
    return run.cancel_requested or run.state is RunState.CANCELLED


def _kill_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, and nothing of its group is left


def _settle(store: Store, run_id: str, state: RunState, error: str) -> None:
    """Put the end down, unless the process has done so itself."""
    try:
        if store.run(run_id).cancel_requested:
            state, error = RunState.CANCELLED, ""
        store.finish(run_id, state, error)
    except RunStateError:
        return


def _explain_end(code: int, log: Path) -> tuple[RunState, str]:
    """Return what to make of a process that has ended without a word in its row."""
    if code >= 0:
        last = _last_line(log)
        return (
            RunState.FAILED,
            f"Its process ended with code {code}: {last or 'it said nothing'} (log: {log})",
        )
    if -code == signal.SIGKILL:
        return (
            RunState.INTERRUPTED,
            "Its process was killed by signal 9 (out of memory?). Resume it to go on after its last step.",
        )
    name = signal.Signals(-code).name
    if -code in _ASKED_TO_END:
        return RunState.INTERRUPTED, f"Its process was ended by {name}. Resume it to go on."
    return RunState.FAILED, f"Its process crashed with {name} (log: {log})"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")

"""Stands in for ``python -m slimcast`` in tests of jobs: a real process, with a pipeline made for the test.

The recipe's name says what the pipeline does.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from slimcast.jobs.worker import execute
from slimcast.records import Checkpoint, Variant
from slimcast.settings import Settings
from slimcast.store import Store


def pipeline(recipe, *, run_id, store, settings, reporter) -> list[Variant]:
    done = {checkpoint.step for checkpoint in store.checkpoints(run_id)}
    if 0 in done:
        reporter.step(0, "train", "skipped")
    else:
        reporter.step(0, "train", "started")
        variant = Variant(
            run_id=run_id, name="0-train", step=0, step_kind="train", numeric_kind="float32", artifact=None
        )
        store.save_checkpoint(Checkpoint(run_id=run_id, step=0, file=store.artifacts.put(b"weights")))
        store.save_variant(variant)
        reporter.step(0, "train", "finished")
        (settings.home / f"first-step-done-{recipe.name}").touch()
        _END[recipe.name.partition(".")[0]](reporter, settings.home)
    return store.variants(run_id)


def _go_on(_reporter, _home: Path) -> None:
    pass


def _wait_for_file(reporter, home: Path) -> None:
    while not (home / "go").exists():
        reporter.check_cancelled()
        time.sleep(0.05)


def _native_call(_reporter, _home: Path) -> None:
    ctypes.CDLL(None).sleep(600)


def _native_call_that_holds_python(_reporter, _home: Path) -> None:
    ctypes.PyDLL(None).sleep(600)  # the interpreter's lock is not given back: no other thread runs


def _kill(_reporter, _home: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _crash(_reporter, _home: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit(_reporter, _home: Path) -> None:
    print("the last words", flush=True)
    os._exit(7)


_END = {
    "quick": _go_on,
    "waits": _wait_for_file,
    "native": _native_call,
    "holds": _native_call_that_holds_python,
    "killed": _kill,
    "crashes": _crash,
    "exits": _exit,
}


def main() -> None:
    settings = Settings.from_environment()
    store = Store.open(settings)
    execute(
        sys.argv[sys.argv.index("--run-id") + 1],
        settings=settings,
        store=store,
        console=False,
        pipeline=pipeline,
    )
    store.close()


if __name__ == "__main__":
    main()

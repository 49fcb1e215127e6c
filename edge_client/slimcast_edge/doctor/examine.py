"""Runs the checks one after the other, each within its time."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slimcast_edge.doctor import board, broker, camera, disk, figures, model
from slimcast_edge.doctor.finding import Finding, bad
from slimcast_edge.settings import EdgeSettings


@dataclass(frozen=True)
class Check:
    """A check and the time that it may take, s."""

    name: str
    run: Callable[[EdgeSettings], Finding]
    limit_s: float


# One after the other: a camera that is being opened would spoil the time that a model takes.
_BEFORE_CAMERAS = (
    Check("disk", disk.check_disk, 15.0),
    Check("clock", board.check_clock, 10.0),
    Check("temperature", board.check_temperature, 10.0),
    Check("key", model.check_key, 5.0),
    Check("broker", broker.check_broker, 30.0),
)
_METRICS = Check("metrics", figures.check_metrics, 10.0)
_BEHIND_CAMERAS = (
    Check("runtime", model.check_runtime, model.RUNTIME_LIMIT_S + 5.0),
    Check("model", model.check_model, model.TRIAL_LIMIT_S + 10.0),
)


def checks_of(settings: EdgeSettings) -> tuple[Check, ...]:
    """Return all checks, one for each camera; that of Prometheus' port where one is set."""
    cameras = (
        Check(camera.check_name(name), camera.check_of(name), camera.LIMIT_S + 5.0)
        for name in settings.camera_tables
    )
    metrics = () if settings.metrics_port is None else (_METRICS,)
    return (*_BEFORE_CAMERAS, *metrics, *cameras, *_BEHIND_CAMERAS)


def examine(settings: EdgeSettings, checks: tuple[Check, ...] | None = None) -> Iterator[Finding]:
    """Yield what each check finds, as it finds it. Takes about ten seconds; never raises, never hangs."""
    for check in checks_of(settings) if checks is None else checks:
        yield _bounded(check, settings)


def _bounded(check: Check, settings: EdgeSettings) -> Finding:
    # A thread that hangs (a dead network share, a driver) is left behind; it does not keep the process alive.
    answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(check.run(settings))
        except Exception as error:  # the doctor must outlive whatever is broken here
            message = f"The check itself failed: {type(error).__name__}: {error}"
            answers.put(bad(check.name, message[:500], "Please report this; the other checks still count."))

    threading.Thread(target=run, name=f"check-{check.name}", daemon=True).start()
    try:
        return answers.get(timeout=check.limit_s)
    except queue.Empty:
        return bad(
            check.name,
            f"No answer within {check.limit_s:.0f} s.",
            "Something below hangs (a driver, a network share, the card): restart the device and look again.",
        )

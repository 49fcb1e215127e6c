"""What a device can be told to do at once: benchmark, snapshot, rollback."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from slimcast_edge.bench import describe_machine
from slimcast_edge.client.outbox import Outbox
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.wire import Command, Reply

logger = logging.getLogger(__name__)

_MAX_SECONDS = 10.0
_START_S = 180.0  # a process of its own takes long on the slowest boards
Answer = Callable[[Reply], None]


class Benchmark:
    """Measures the active model in a process of its own, one at a time; the camera goes on meanwhile."""

    def __init__(self, choice: RuntimeChoice) -> None:
        self._choice = choice
        self._busy = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self, command: Command, model: Path | None, answer: Answer) -> None:
        """Measure, and answer when done."""
        if model is None:
            answer(Reply(id=command.id, ok=False, error="There is no model on this device to measure."))
        elif not self._busy.acquire(blocking=False):
            answer(Reply(id=command.id, ok=False, error="A benchmark is going on already."))
        else:
            threading.Thread(
                target=self._run, args=(command, model, answer), name="benchmark", daemon=True
            ).start()

    def stop(self) -> None:
        """Kill the one that runs."""
        process = self._process
        if process is not None:
            process.kill()

    def _run(self, command: Command, model: Path, answer: Answer) -> None:
        try:
            answer(self._measure(command, model))
        finally:
            self._busy.release()

    def _measure(self, command: Command, model: Path) -> Reply:
        asked = what_to_time(command, threads=self._choice.threads)
        if isinstance(asked, Reply):
            return asked
        seconds, threads = asked
        line = [sys.executable, "-m", "slimcast_edge", "bench", str(model), "--json"]
        line += ["--seconds", str(seconds), *replace(self._choice, threads=threads).arguments()]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self._process = process
            try:
                out, problems = process.communicate(timeout=seconds + _START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, problems = "", "it took too long"
            finally:
                self._process = None
        try:
            result: dict[str, Any] = json.loads(out)
        except ValueError:
            tail = (problems.strip().splitlines() or ["it was interrupted"])[-1]
            return Reply(id=command.id, ok=False, error=f"The benchmark failed: {tail}"[:600])
        return Reply(id=command.id, ok=True, result=result | {"machine": describe_machine()})


def what_to_time(command: Command, *, threads: int) -> tuple[float, int] | Reply:
    """Return for how long to time, s, and with how many threads; or the answer to what makes no sense.

    `threads`: where the command names none.
    """
    try:
        seconds = float(command.args.get("seconds", 1.0))
        return min(_MAX_SECONDS, max(0.1, seconds)), min(
            64, max(1, int(command.args.get("threads", threads)))
        )
    except (TypeError, ValueError, OverflowError):
        return Reply(id=command.id, ok=False, error="'seconds' and 'threads' must be numbers.")


def take_snapshot(command: Command, outbox: Outbox, answer: Answer, *, has_model: bool) -> None:
    """Take a picture, answered with its frame's number; with ``newest: N`` send the kept ones once more.

    ``camera`` names one of several cameras; without it, the first takes the picture.
    """
    newest, cameras = command.args.get("newest"), list(outbox.streams)
    camera = command.args.get("camera", cameras[0])
    if newest is not None:
        if isinstance(newest, bool) or not isinstance(newest, int) or newest < 1:
            answer(Reply(id=command.id, ok=False, error="'newest' must be a number from 1."))
        else:
            answer(Reply(id=command.id, ok=True, result={"pictures": outbox.send_again(newest)}))
    elif not has_model:
        answer(Reply(id=command.id, ok=False, error="There is no model on this device yet."))
    elif camera not in cameras:
        known = ", ".join(filter(None, cameras)) or "one, without a name"
        answer(Reply(id=command.id, ok=False, error=f"There is no such camera here. There are: {known}."))
    else:
        outbox.request_snapshot(
            lambda number: answer(Reply(id=command.id, ok=True, result={"frame": number, "camera": camera})),
            camera,
        )

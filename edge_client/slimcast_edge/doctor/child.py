"""Asks a process of its own: a driver that hangs or crashes there does not take the doctor with it."""

import json
import signal
import subprocess
import sys
from typing import Any


def ask_child(what: str, options: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """Run a probe (`slimcast_edge.doctor.probe`) and return its answer, or why there is none as ``error``.

    Args:
        what: name of the probe.
        options: handed over on stdin, since a camera's address may carry a password.
        timeout_s: after so long the process is killed.

    """
    command = [sys.executable, "-m", "slimcast_edge.doctor.probe", what]
    try:
        done = subprocess.run(
            command, input=json.dumps(options), capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {timeout_s:.0f} s."}
    except OSError as error:
        return {"error": f"cannot start a process: {error}."}
    if done.returncode < 0:
        number = -done.returncode
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        return {"error": f"its library crashed ({name})."}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        tail = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"error": f"ended with code {done.returncode}: {tail[:300]}"}
    return answer

"""Kills a real client again and again while it takes new models, and counts what that has broken."""

import hashlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from slimcast_edge.wire import CHUNK_BYTES, DeviceState
from support_artifacts import make_artifact
from support_edge import Device
from support_wait import wait_for

_MODELS = 4
"""Different artifacts, in turn: what a device has kept of the last two would not be fetched again."""


@dataclass
class Harm:
    """What the kills did.

    Attributes:
        kills: how many; `states`: what the device last wrote of itself before each.
        without_model: starts after which it classified with no model of ours.
        corrupt_files: models on its disk whose content is not what their name says.
        kept_sent_again: chunks that were on its disk when it died and were sent once more all the same.
        sent_twice: chunks sent more than once, most of them on their way when it died; `worst`: of one kill.
        rolled_back: roll-outs that ended with the model before, since it died twice in probation.
        recovery_s: from each start after a kill to the end of the roll-out.

    """

    kills: int = 0
    states: Counter = field(default_factory=Counter)
    without_model: int = 0
    corrupt_files: int = 0
    kept_sent_again: int = 0
    sent_twice: int = 0
    worst: int = 0
    rolled_back: int = 0
    recovery_s: list[float] = field(default_factory=list)


class KillLoop:
    """A studio's hub and store, a client in `folder`, and the models that are rolled out in turn.

    Args:
        chunks: size of each model, in chunks.

    """

    def __init__(self, hub, store, device: Device, *, chunks: int, seed: int = 0) -> None:
        self._hub, self._store, self._device = hub, store, device
        self._random = random.Random(seed)
        self._chunks = chunks
        self._sent: list[tuple[str, int]] = []
        self._models = [
            store.artifacts.put(
                make_artifact(name=f"m{number}", bias=number / 4, ballast_bytes=chunks * CHUNK_BYTES - 4000)
            )
            for number in range(_MODELS)
        ]
        send = hub._chunks._send

        def noting(sha256, number, data):
            self._sent.append((sha256, number))
            return send(sha256, number, data)

        hub._chunks._send = noting
        self.harm = Harm()
        self.usual_s = 0.0

    def begin(self) -> None:
        """Start the client and roll one model out in peace: that says how long it takes."""
        self._device.start()
        self._wait_online()
        started = time.monotonic()
        self._settled(self._publish(0))
        self.usual_s = time.monotonic() - started

    def once(self, number: int) -> None:
        """Roll a model out, kill the client at a random moment, start it again, and look at it."""
        sha256 = self._models[number % _MODELS]
        self._sent.clear()
        revision = self._publish(number)
        self._wait_moment()
        self._device.kill()
        self.harm.kills += 1
        self.harm.states[self._device.saved["state"]] += 1
        kept = self._kept_chunks(sha256)
        before = list(self._sent)
        started = time.monotonic()
        self._device.start()
        reported = self._settled(revision)
        self.harm.recovery_s.append(time.monotonic() - started)
        self._look(sha256, reported, kept, before)

    def _wait_moment(self) -> None:
        """Half of the moments are spread over the time, half over the chunks: those go by in an instant."""
        if self._random.random() < 0.5:
            time.sleep(self._random.uniform(0, self.usual_s))
            return
        count = self._random.randint(0, self._chunks)
        deadline = time.monotonic() + self.usual_s
        while len(self._sent) < count and time.monotonic() < deadline:
            time.sleep(0.0005)

    def _look(self, sha256, reported, kept, before) -> None:
        after = self._sent[len(before) :]
        again = {number for sha, number in after if sha == sha256} & kept
        twice = len(self._sent) - len(set(self._sent))
        self.harm.kept_sent_again += len(again)
        self.harm.sent_twice += twice
        self.harm.worst = max(self.harm.worst, twice)
        self.harm.rolled_back += reported.state is DeviceState.ROLLED_BACK
        self.harm.corrupt_files += sum(
            hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
            for path in (self._device.state_folder / "models").glob("*.onnx")
        )
        self.harm.without_model += not self._classifies(reported.active)

    def _classifies(self, active) -> bool:
        if active not in self._models:
            return False
        results = []
        stop = self._hub.watch_results("cam1", "kill", results.append)
        try:
            wait_for(lambda: any(one.artifact == active for one in results), "a result of the active model")
        except AssertionError:
            return False
        finally:
            stop()
        return True

    def _kept_chunks(self, sha256) -> set[int]:
        maps = (self._device.state_folder / "downloads").glob(f"{sha256}*.map")
        return {i for path in maps for i, there in enumerate(path.read_bytes()) if there}

    def _publish(self, number: int) -> int:
        return self._hub.publish("cam1", self._models[number % _MODELS], f"m{number % _MODELS}")

    def _settled(self, revision: int):
        def found():
            device = self._hub.device("cam1")
            reported = device.reported
            done = reported and reported.revision >= revision and reported.state.is_settled()
            return reported if done and device.online else None

        return wait_for(found, f"the end of revision {revision}", timeout_s=120)

    def _wait_online(self) -> None:
        def online():
            return any(one.online and one.about and one.reported for one in self._hub.devices())

        wait_for(online, "the client to come online")

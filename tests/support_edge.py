"""A small studio and a real client process for tests, and small waits."""

import hashlib
import json
import signal
import subprocess
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from slimcast_edge.frames import extract
from slimcast_edge.mqtt import Connection
from slimcast_edge.signing import public_key_to_text, sign
from slimcast_edge.wire import (
    About,
    ArtifactRef,
    Desired,
    Event,
    Reply,
    Reported,
    Result,
    Status,
    StreamSettings,
    Telemetry,
    Want,
    blob_topic,
    decode,
    topic,
)
from support_artifacts import LABELS, sample_images
from support_wait import wait_for


class Studio:
    """The other end of the wire, small: signs orders, serves chunks, notes what the device says."""

    def __init__(self, url, *, device="cam1", site="lab"):
        self.key = Ed25519PrivateKey.generate()
        self.site, self.device = site, device
        self.files = {}
        self.spoil = False  # send other bytes than were asked for
        self.mute = False  # answer no request for chunks
        self.served = []
        self.reported, self.events, self.results, self.frames, self.telemetry = [], [], [], [], []
        self.snapshots = []
        self.replies, self.statuses, self.abouts = {}, [], []
        names = (
            "reported",
            "want",
            "event",
            "result",
            "frame",
            "telemetry",
            "reply/+",
            "status",
            "about",
            "snapshot",
        )
        self.connection = Connection(
            url,
            "studio",
            site=site,
            subscriptions=[f"slimcast/v1/{site}/{device}/{name}" for name in names],
            on_message=self._on_message,
        )
        self.connection.start()
        assert self.connection.wait_connected(10)

    @property
    def public_key(self):
        return public_key_to_text(self.key.public_key())

    @property
    def last(self):
        return self.reported[-1] if self.reported else None

    def order(self, revision, content=None, *, name="model", key=None, chunk_bytes=1024, **changes):
        """Build a signed order for an artifact; `changes` go into the reference before it is signed."""
        artifact = None
        if content is not None:
            sha = hashlib.sha256(content).hexdigest()
            self.files[sha] = content
            artifact = ArtifactRef(sha256=sha, size_bytes=len(content), chunk_bytes=chunk_bytes, name=name)
        fields = {"site": self.site, "device": self.device, "stream": StreamSettings()} | changes
        return sign(Desired(revision=revision, artifact=artifact, **fields), key or self.key)

    def publish(self, revision, content=None, **options):
        """Send an order and return the sha256 of its artifact."""
        desired = self.order(revision, content, **options)
        self.send("desired", desired.encode())
        return desired.artifact.sha256 if desired.artifact else None

    def send(self, suffix, payload):
        self.connection.publish(topic(self.site, self.device, suffix), payload)

    def wait_state(self, state, *, revision=None, reason=None, timeout_s=90.0):
        """Wait until the device reports this, and return that report."""

        def settled():
            last = self.last
            if last is None or last.state != state or (revision is not None and last.revision != revision):
                return None
            return last if reason is None or last.reason == reason else None

        try:
            return wait_for(settled, timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(
                f"{error} Wanted {state} {revision} {reason}; last was {self.last!r}"
            ) from None

    def stop(self):
        self.connection.stop()

    def _on_message(self, address, payload):
        if address.suffix == "want":
            self._serve(decode(Want, "want", payload))
        elif address.suffix == "reported":
            self.reported.append(decode(Reported, "reported", payload))
        elif address.suffix == "frame":
            self.frames.append(extract(payload)[0])
        elif address.suffix == "snapshot":
            self.snapshots.append(extract(payload)[0])
        elif address.suffix == "reply":
            self.replies[address.tail] = decode(Reply, "reply", payload)
        else:
            kinds = {
                "event": Event,
                "result": Result,
                "telemetry": Telemetry,
                "status": Status,
                "about": About,
            }
            kept = {
                "event": self.events,
                "result": self.results,
                "telemetry": self.telemetry,
                "status": self.statuses,
                "about": self.abouts,
            }
            kept[address.suffix].append(decode(kinds[address.suffix], address.suffix, payload))

    def _serve(self, want):
        content = self.files.get(want.artifact)
        if content is None or self.mute:
            return
        for number in want.chunks:
            chunk = content[number * want.chunk_bytes : (number + 1) * want.chunk_bytes]
            if self.spoil:
                chunk = bytes(byte ^ 0xFF for byte in chunk)
            self.served.append(number)
            self.connection.publish(blob_topic(self.site, want.artifact, number), chunk)


def _table(synthetic, own):
    return own if "kind" in own else synthetic | own


class Device:
    """A real client process. `cameras`: settings of each by name, over those of the synthetic one."""

    def __init__(self, folder, broker_url, *, key="", camera_fps=30, cameras=None, **settings):
        self.folder, self.state_folder = folder, folder / "state"
        self.state_folder.mkdir(exist_ok=True)
        images = folder / "images"
        images.mkdir(exist_ok=True)
        for label, pixels in zip(LABELS, sample_images(), strict=True):
            Image.fromarray(pixels[..., 0]).save(images / f"{label}_0.png")
        values = {"device": "cam1", "broker": broker_url, "state_folder": str(self.state_folder)}
        values |= {"probation_s": 0.3, "probation_frames": 5, "telemetry_s": 0.2} | settings
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        synthetic = {"kind": "synthetic", "source": str(images), "fps": camera_fps, "wait": True, "hold": 3}
        synthetic |= {"width": 96, "height": 64}
        tables = {"camera": synthetic}
        if cameras is not None:
            tables = {f"cameras.{name}": _table(synthetic, own) for name, own in cameras.items()}
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{option} = {json.dumps(value)}" for option, value in table.items())]
        self.config = folder / "edge.toml"
        self.config.write_text("\n".join(lines))
        if key:
            (self.state_folder / "studio.pub").write_text(key)
        self.process = None
        self._log = folder / "client.log"

    def start(self):
        # Unbuffered and through a file: a pipe that nobody reads would stop the client.
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "slimcast_edge", "run", "--config", str(self.config)],
                stderr=log,
                stdout=log,
            )
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End it as systemd would, and return its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"The client did not stop.\n{self.log}") from None
        return self.process.returncode

    @property
    def log(self):
        return self._log.read_text() if self._log.exists() else ""

    @property
    def saved(self):
        return json.loads((self.state_folder / "deployment.json").read_text())

    @property
    def models(self):
        return sorted(path.stem for path in (self.state_folder / "models").glob("*.onnx"))

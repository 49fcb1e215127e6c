"""Every parser of bytes from outside, with sound inputs to start from and the errors that it declares.

`test_fuzz.py` feeds them with Hypothesis, `fuzz_atheris.py` with atheris where that is installed.
"""

import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from slimcast.data.unzip import unzip
from slimcast.errors import DataError, RecipeError
from slimcast.fleet.inbox import Inbox
from slimcast.fleet.registry import DeviceRegistry
from slimcast.recipe import parse_recipe
from slimcast.search import parse_search
from slimcast_edge import wire
from slimcast_edge.artifact import ArtifactInfo
from slimcast_edge.artifact_file import check_file
from slimcast_edge.client.commands import what_to_time
from slimcast_edge.client.dispatch import Dispatch
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.namesake import Namesake
from slimcast_edge.deploy.orders import Refused, judge
from slimcast_edge.deploy.pinned import KeyRing
from slimcast_edge.deploy.state import Deployment, StateFolder
from slimcast_edge.errors import ArtifactError, SettingsError, SignatureError, WireError
from slimcast_edge.exchange import Answer, DeviceSide, Request, new_code, read_code
from slimcast_edge.frames import embed, extract
from slimcast_edge.measuring.layers import pack_layers, read_layers
from slimcast_edge.settings import ENROLMENT_FILE, load_settings
from slimcast_edge.signing import public_key_to_text, sign
from support_artifacts import make_artifact

ROOT = Path(__file__).resolve().parents[1]
KEY = Ed25519PrivateKey.generate()
SHA = "a" * 64


@dataclass(frozen=True)
class Target:
    """A parser: `run` raises nothing but `declared`. `seeds`: inputs that it takes."""

    run: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


class _Receiver:
    """Takes what the studio's inbox lets through, as the hub does."""

    def __init__(self) -> None:
        self.registry = DeviceRegistry()

    def on_frame(self, address, jpeg, result) -> None:
        self.registry.apply(address, result)

    on_snapshot = on_frame

    def on_payload(self, address, payload, data) -> None:
        if not isinstance(payload, (wire.Want, wire.Reply)):
            self.registry.apply(address, payload)

    def on_cleared(self, address) -> None:
        self.registry.clear(address)


def _studio(suffix: str) -> Callable[[bytes], None]:
    counters: Counter[str] = Counter()
    inbox = Inbox("lab", _Receiver(), counters)
    address = wire.Address(site="lab", device="cam1", suffix=suffix)

    def run(data: bytes) -> None:
        inbox.on_message(address, data)
        assert not counters["errors"], "the inbox met an error that nobody had declared"

    return run


class _Outbox:
    """One camera, and what a device's outbox is asked for."""

    streams: ClassVar = {"": None}

    def send_again(self, count: int) -> int:
        return min(count, 12)

    def request_snapshot(self, done: Callable[[int], None], camera: str) -> None:
        assert camera == ""
        done(7)


def _device(suffix: str) -> Callable[[bytes], None]:
    """A device's own handling of a command; every answer must fit into a message."""

    def answer(reply: wire.Reply) -> None:
        wire.check_size("reply", reply.encode())

    loaded = SimpleNamespace(entry=SimpleNamespace(sha256=SHA))
    desks = SimpleNamespace(
        engine=SimpleNamespace(current=loaded),
        outbox=_Outbox(),
        leases=Leases(),
        host=SimpleNamespace(answer=answer),
        benchmark=SimpleNamespace(start=lambda command, _path, answer: answer(measurable(command))),
        folder=SimpleNamespace(model_path=Path),
        namesake=Namesake(
            wire.Status(online=True, session="s", since=1), "cam1", correct=lambda: None, tell=lambda _: None
        ),
    )
    dispatch = Dispatch(desks)
    address = wire.Address(site="lab", device="cam1", suffix=suffix)
    return lambda data: dispatch.on_message(address, data)


def measurable(command: wire.Command) -> wire.Reply:
    """Answer as the benchmark does to what it cannot measure."""
    asked = what_to_time(command, threads=1)
    return asked if isinstance(asked, wire.Reply) else wire.Reply(id=command.id, ok=True)


def _layers(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.zip"
        path.write_bytes(data)
        for _ in read_layers(path, 1):
            pass


def _unzip(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder) / "outside"
        inside = Path(folder) / "inside" / "deep"
        inside.mkdir(parents=True)
        unzip(io.BytesIO(data), inside, lambda _share: None)
        assert not outside.exists()
        assert [path.name for path in (Path(folder) / "inside").iterdir()] == ["deep"]


def _golden(data: bytes) -> None:
    for sample in ArtifactInfo.from_json(data).golden.samples:
        sample.pixels()


def _order(data: bytes) -> None:
    judge(data, keys=[KEY.public_key()], site="lab", device="cam1", now=Deployment())


def _state(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "deployment.json").write_bytes(data)
        StateFolder(Path(folder)).load()


def _keys(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "studio.pub").write_bytes(data)
        KeyRing(Path(folder) / "studio.pub").keys()


def _enrolled(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ENROLMENT_FILE).write_bytes(data)
        load_settings(None, {"SLIMCAST_EDGE_STATE_FOLDER": folder}).broker_address()


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "replace"))


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", b"x" * 200)
        archive.writestr("../outside", b"y")
    return buffer.getvalue()


PREDICTION = wire.Prediction(label="7", index=7, score=0.5)
RESULT = wire.Result(
    session="s", frame=1, captured_at=1, classified_at=1, latency_ms=1, artifact=SHA, predictions=[PREDICTION]
)
FRAME = embed(b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda", RESULT)
REF = wire.ArtifactRef(sha256=SHA, size_bytes=9, chunk_bytes=1024, name="m")
ORDER = sign(wire.Desired(site="lab", device="cam1", revision=3, artifact=REF), KEY).encode()
STREAM = wire.StreamReport(fps=1, step=0, max_fps=9, quality=80, width=640, delay_ms=3)
PAYLOADS: dict[str, bytes] = {
    "status": wire.Status(online=True, session="s", since=1).encode(),
    "about": wire.About(
        session="s", hardware="h", os="o", client="c", camera="v", runtime="r", providers=["p"], threads=1
    ).encode(),
    "desired": ORDER,
    "reported": wire.Reported(session="s", revision=1, state=wire.DeviceState.ACTIVE, at=1).encode(),
    "want": wire.Want(artifact=SHA, chunk_bytes=1024, chunks=[1]).encode(),
    "result": RESULT.encode(),
    "event": wire.Event(session="s", at=1, kind=wire.EventKind.ERROR).encode(),
    "reply": wire.Reply(id="a", ok=True, result={"x": [1, {"y": None}]}).encode(),
    "cmd/view": wire.ViewLease(viewer="v", lease_s=1).encode(),
    "cmd/snapshot": wire.Command(id="a", args={"newest": 1, "camera": "left"}).encode(),
    "cmd/benchmark": wire.Command(id="a", args={"seconds": 0.5, "threads": 2}).encode(),
    "cmd/rollback": wire.Command(id="a").encode(),
    "cmd/measure": sign(
        wire.Measure(
            id="a",
            site="lab",
            device="cam1",
            session="s",
            models=[REF],
            layers=wire.LayerBundle(artifact=REF, count=2),
        ),
        KEY,
    ).encode(),
    "cmd/compare": sign(
        wire.Compare(id="a", site="lab", device="cam1", session="s", comparison="b", model=REF, lease_s=5),
        KEY,
    ).encode(),
    "telemetry": wire.Telemetry(
        session="s",
        at=1,
        uptime_s=1,
        fps=1,
        latency_p50_ms=1,
        latency_p90_ms=1,
        frames=1,
        dropped=0,
        rss_mb=90,
        stream=STREAM,
        labels={"7": 3},
        cameras={"left": wire.CameraFigures(fps=1, frames=1, dropped=0, stream=STREAM)},
    ).encode(),
    "summary": wire.Summary(
        session="s", fps=1, latency_ms=1, model="m", offered="m", cameras={"left": wire.CameraSummary()}
    ).encode(),
}
FIGURES = dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "mean_ms", "std_ms", "slowdown", "peak_rss_mb"), 1.0)
MEASURED = wire.Measured(
    machine="m",
    runtime="r",
    threads=1,
    camera="paused",
    models=[wire.ModelFigures(sha256=SHA, provider="p", runs=9, **FIGURES)],
    layers=[wire.LayerFigures(ms=1, runs=9)],
).encode()
COMPARED = wire.Compared(state="running", progress=1, latency_ms=2).encode()
CODE = new_code()
RECIPE = (ROOT / "examples" / "recipes" / "lenet5-digits-int8.yaml").read_bytes()
SEARCH = (ROOT / "examples" / "searches" / "lenet5-digits.yaml").read_bytes()
ARTIFACT = make_artifact()
STATE = Deployment(revision=3, order=wire.decode(wire.Desired, "desired", ORDER)).model_dump_json().encode()
KEYS = f"{public_key_to_text(KEY.public_key())}\n".encode()
ENROLLED = json.dumps({"site": "lab", "device": "cam1", "broker": "mqtts://h", "broker_user": "u"}).encode()

TARGETS: dict[str, Target] = (
    {
        "topic": Target(
            _text(wire.parse_topic),
            (WireError,),
            (
                b"slimcast/v1/lab/cam1/status",
                b"slimcast/v1/lab/cam1/reply/x",
                f"slimcast/v1/lab/blob/{SHA}/0".encode(),
            ),
        ),
        "frame": Target(extract, (WireError,), (FRAME,)),
        "artifact": Target(check_file, (ArtifactError,), (ARTIFACT,)),
        "description": Target(
            _golden, (ArtifactError,), (ARTIFACT[ARTIFACT.index(b'{"format"') :].partition(b"\0")[0],)
        ),
        "order": Target(_order, (WireError, Refused), (ORDER,)),
        "state": Target(_state, (), (STATE,)),
        "keys": Target(_keys, (SettingsError,), (KEYS,)),
        "enrolled": Target(_enrolled, (SettingsError,), (ENROLLED,)),
        "code": Target(_text(read_code), (SignatureError,), (str(CODE).encode(),)),
        "request": Target(
            Request.model_validate_json,
            (ValidationError,),
            (DeviceSide(CODE).request.model_dump_json().encode(),),
        ),
        "answer": Target(
            Answer.model_validate_json,
            (ValidationError,),
            (Answer(share="A" * 43 + "=", sealed="AA").model_dump_json().encode(),),
        ),
        "zip": Target(_unzip, (DataError,), (_zip(),)),
        "recipe": Target(_text(parse_recipe), (RecipeError,), (RECIPE,)),
        "search": Target(_text(parse_search), (RecipeError,), (SEARCH,)),
        "layers": Target(_layers, (ArtifactError,), (pack_layers([ARTIFACT]),)),
        "figures": Target(wire.Measured.model_validate_json, (ValidationError,), (MEASURED,)),
        "comparison": Target(wire.Compared.model_validate_json, (ValidationError,), (COMPARED,)),
        "studio frame": Target(_studio("frame"), (), (FRAME,)),
    }
    | {
        f"payload {suffix}": Target(
            lambda data, suffix=suffix, kind=info.payload: wire.decode(kind, suffix, data),
            (WireError,),
            (PAYLOADS.get(suffix, b"{}"),),
        )
        for suffix, info in wire.TOPICS.items()
        if info.payload is not None
    }
    | {
        f"studio {suffix}": Target(_studio(suffix), (), (PAYLOADS.get(suffix, b"{}"),))
        for suffix, info in wire.TOPICS.items()
        if info.payload is not None and not info.from_studio
    }
    | {
        f"device {suffix}": Target(_device(suffix), (), (PAYLOADS.get(suffix, b"{}"),))
        for suffix in ("status", "cmd/view", "cmd/snapshot", "cmd/benchmark", "cmd/rollback")
    }
    | {"numbers": Target(_device("cmd/benchmark"), (), (b'{"id": "a", "args": {"threads": 1e400}}',))}
)

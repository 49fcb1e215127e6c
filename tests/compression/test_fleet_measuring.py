"""What the studio asks a device to measure, what it serves meanwhile, and what it makes of the answer."""

import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.errors import FleetError
from slimcast.fleet.benchmarks import BenchmarkPlan, measure_models, to_benchmarks
from slimcast.fleet.measuring import Assignment, Measuring
from slimcast.fleet.records import Device
from slimcast.fleet.replies import Replies
from slimcast.store import Store
from slimcast_edge.measuring.layers import pack_layers
from slimcast_edge.signing import open_signed_command
from slimcast_edge.wire import LayerFigures, Measure, Measured, ModelFigures, Reply, Status
from support_store import make_settings
from support_wait import wait_for

KEY = Ed25519PrivateKey.generate()
A, B = "a" * 64, "b" * 64
FIGURES = {"provider": "CPUExecutionProvider", "p50_ms": 4.0, "p90_ms": 5.0, "p99_ms": 6.0, "mean_ms": 4.2,
           "std_ms": 0.3, "runs": 400, "slowdown": 1.25, "peak_rss_mb": 60.0, "temperature_before_c": 50.0,
           "temperature_after_c": 71.5, "throttled": True}  # fmt: skip


class Files:
    """The store's artifacts: one."""

    def exists(self, sha256):
        return sha256 == A

    def read(self, sha256, offset=0, length=None):
        return b"stored"[offset:]


class Studio:
    """A `Measuring` whose device answers what the test gives it."""

    def __init__(self, *, session="s1", online=True):
        self.orders, self.replies = [], Replies()
        self.answer = None
        self.device = self.as_device(session, online)
        self.measuring = Measuring(
            site="lab",
            key=KEY,
            files=Files(),
            send=self.send,
            replies=self.replies,
            look=lambda _: self.device,
        )

    @staticmethod
    def as_device(session, online=True):
        return Device(name="cam1", status=Status(online=online, session=session, since=1.0))

    def send(self, topic, payload):
        order = open_signed_command(Measure, payload, KEY.public_key())
        self.orders.append((topic, order))
        if self.answer is not None:
            self.replies.arrived("cam1", order.id, self.answer(order))

    def measure(self, timeout_s=5.0, **what):
        return self.measuring.measure(self.device, Assignment(**what), lambda _: 6, timeout_s)


def measured(order, **changes):
    models = [ModelFigures(sha256=ref.sha256, **FIGURES) for ref in order.models]
    layers = [LayerFigures(ms=0.5, runs=20)] * (order.layers.count if order.layers else 0)
    fields = {"machine": "Pi 5, 4 cores", "runtime": "onnxruntime 1.31", "threads": 2, "camera": "paused"}
    return Measured(**{"models": models, "layers": layers} | fields | changes)


def good(order):
    return Reply(id=order.id, ok=True, result=measured(order).model_dump(mode="json"))


def test_the_order_is_signed_for_the_session_and_its_files_are_served_until_the_answer():
    studio = Studio()
    offered = []

    def answer(order):
        for ref in [*order.models, order.layers.artifact]:
            offered.append((studio.measuring.offered(ref.sha256), studio.measuring.exists(ref.sha256)))
            assert len(studio.measuring.read(ref.sha256)) == ref.size_bytes
        assert studio.measuring.read(B, 1, 2) == b"ra"
        return good(order)

    studio.answer = answer
    found = studio.measure(
        models=((A, "stored"), (B, "draft")),
        contents={B: b"draft"},
        layers=(b"graph",),
        pause=True,
        threads=2,
    )
    [(topic, order)] = studio.orders
    assert topic == "slimcast/v1/lab/cam1/cmd/measure"
    assert (order.site, order.device, order.session) == ("lab", "cam1", "s1")
    assert (order.pause, order.threads) == (True, 2)
    assert [(ref.sha256, ref.size_bytes) for ref in order.models] == [(A, 6), (B, 5)]
    assert order.layers.artifact.size_bytes == len(pack_layers([b"graph"]))
    assert all(ref is not None and there for ref, there in offered)
    assert found.models[1].sha256 == B
    assert studio.measuring.offered(B) is None
    assert not studio.measuring.exists(B)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda order: Reply(id=order.id, ok=False, error="No room."), r"cam1 did not measure: No room\."),
        (lambda order: Reply(id=order.id, ok=True, result={"machine": 1}), "make no sense"),
        (
            lambda order: Reply(
                id=order.id, ok=True, result=measured(order, models=[]).model_dump(mode="json")
            ),
            "something else than was asked",
        ),
    ],
    ids=["refused", "no figures", "figures of something else"],
)
def test_a_bad_answer_is_an_error(answer, said):
    studio = Studio()
    studio.answer = answer
    with pytest.raises(FleetError, match=said):
        studio.measure(models=((A, "m"),))


def test_no_answer_is_an_error():
    with pytest.raises(FleetError, match=r"did not answer within 0\.05 s"):
        Studio().measure(timeout_s=0.05, models=((A, "m"),))


def test_a_device_that_is_offline_is_not_asked():
    studio = Studio(online=False)
    with pytest.raises(FleetError, match="offline"):
        studio.measure(models=((A, "m"),))
    assert studio.orders == []


def test_a_device_that_starts_anew_is_not_waited_for():
    studio = Studio()
    failed = []

    def ask():
        try:
            studio.measure(timeout_s=600, models=((A, "m"),))
        except FleetError as error:
            failed.append(str(error))

    device, thread = studio.device, threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: studio.orders, "the order")
    studio.device = studio.as_device("s2")
    thread.join(60)
    assert failed == ["cam1 was started anew while it measured. Try again."]
    assert device.status.session == "s1"


def test_figures_are_kept_with_what_measured_them(tmp_path):
    store = Store.open(make_settings(tmp_path))
    studio = Studio()
    studio.answer = good

    class Hub:
        def measure(self, device, what, timeout_s):
            return studio.measuring.measure(studio.device, what, lambda _: 6, timeout_s)

    try:
        before = time.time()
        [one] = measure_models(Hub(), store, "cam1", [(A, "m")], BenchmarkPlan(seconds=1, pause=True))
        [kept] = store.benchmarks.of([A, B])
        assert kept == one
        assert kept.clock == "cam1: Pi 5, 4 cores; onnxruntime 1.31, CPUExecutionProvider, 2 threads"
        assert (kept.p50_ms, kept.slowdown, kept.throttled, kept.camera) == (4.0, 1.25, True, "paused")
        assert kept.at >= before
        store.benchmarks.add(to_benchmarks("cam2", measured(studio.orders[0][1]), at=kept.at + 1))
        store.benchmarks.add([])
        assert [one.device for one in store.benchmarks.of([A])] == ["cam1", "cam2"]
        assert store.benchmarks.of([]) == []
    finally:
        store.close()

"""What a device measures on a signed order, and what it refuses to."""

import re

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from slimcast_edge.deploy.port import DeployOptions
from slimcast_edge.errors import ArtifactError, SignatureError, WireError
from slimcast_edge.measuring.desk import Measuring, MeasuringPlace
from slimcast_edge.measuring.judge import Judge
from slimcast_edge.measuring.layers import pack_layers, read_layers
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.runtime.onnx import VERSION
from slimcast_edge.signing import open_signed, open_signed_command, sign
from slimcast_edge.wire import Desired, LayerBundle, Measure, Measured
from support_artifacts import make_artifact
from support_chunks import ChunkHost, ref, sha
from support_wait import wait_for

KEY = Ed25519PrivateKey.generate()
FLOAT = make_artifact(name="float", ballast_bytes=5000)
OTHER = make_artifact(name="other", bias=1.0)


@pytest.fixture
def host():
    return ChunkHost(FLOAT, OTHER)


@pytest.fixture
def measuring(host, tmp_path):
    """The desk of cam1 in its session s1; `tmp_path/own` is where its own models lie."""
    (tmp_path / "own").mkdir()
    place = MeasuringPlace(
        folder=tmp_path / "measuring",
        models=lambda sha256: tmp_path / "own" / f"{sha256}.onnx",
        choice=RuntimeChoice(),
        version=VERSION,
        options=DeployOptions(stall_s=0.3, reask_s=0.1),
    )
    judge = Judge(
        site="lab", device="cam1", session="s1", keys=lambda: [KEY.public_key()], max_bytes=1_000_000
    )
    measuring = Measuring(place, host, judge)
    host.chunk = measuring.chunk
    yield measuring
    measuring.stop()


def order(*contents, key=KEY, **changes):
    fields = {"id": "m1", "site": "lab", "device": "cam1", "session": "s1", "seconds": 0.05} | changes
    return sign(Measure(models=[ref(content) for content in contents], **fields), key).encode()


def answer(host):
    return wait_for(lambda: host.replies, "an answer")[-1]


def figures(host):
    reply = answer(host)
    assert reply.ok, reply.error
    return Measured.model_validate(reply.result)


@pytest.mark.slow
def test_models_are_fetched_and_measured_each_in_a_process_of_its_own(host, measuring, tmp_path):
    measuring.order(order(FLOAT, OTHER, pause=True, threads=2))
    measured = figures(host)
    assert [one.sha256 for one in measured.models] == [sha(FLOAT), sha(OTHER)]
    for one in measured.models:
        assert 0 < one.p50_ms <= one.p90_ms <= one.p99_ms
        assert one.runs >= 30
        assert one.std_ms > 0
        assert one.slowdown > 0
        assert one.peak_rss_mb > 10
        assert one.provider == "CPUExecutionProvider"
    assert (measured.threads, measured.camera, measured.runtime) == (2, "paused", VERSION)
    assert "cores" in measured.machine
    assert host.pauses == [True, False]
    assert sorted(host.asked) == sorted([*range(ref(FLOAT).chunks), *range(ref(OTHER).chunks)])
    assert host.listening == [True, False] * 2
    assert not (tmp_path / "measuring").exists()
    assert len(answer(host).encode()) < 4096


@pytest.mark.slow
def test_a_model_that_the_device_has_is_not_fetched(host, measuring, tmp_path):
    (tmp_path / "own" / f"{sha(FLOAT)}.onnx").write_bytes(FLOAT)
    measuring.order(order(FLOAT))
    assert figures(host).camera == "running"
    assert host.asked == []
    assert host.pauses == []


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (order(FLOAT, key=Ed25519PrivateKey.generate()), "not signed with a pinned key"),
        (order(FLOAT).replace(b'"seconds":0.05', b'"seconds":0.06'), "not signed with a pinned key"),
        (order(FLOAT, device="cam2"), "another device"),
        (order(FLOAT, session="s0"), "earlier start"),
        (order(), "names nothing"),
        (order(make_artifact(ballast_bytes=2_000_000)), r"more than the 1\.0 MB"),
    ],
    ids=["another key", "changed on its way", "another device", "another session", "empty", "too large"],
)
def test_orders_that_are_not_obeyed_are_answered_and_nothing_is_fetched(host, measuring, payload, said):
    measuring.order(payload)
    reply = answer(host)
    assert not reply.ok
    assert re.search(said, reply.error)
    assert host.asked == []


def test_without_a_key_nothing_is_measured(host, measuring):
    measuring._judge = Judge(site="lab", device="cam1", session="s1", keys=list, max_bytes=1_000_000)
    measuring.order(order(FLOAT))
    assert "slimcast-edge enroll" in answer(host).error


@pytest.mark.slow
def test_an_order_is_carried_out_once(host, measuring, tmp_path):
    (tmp_path / "own" / f"{sha(FLOAT)}.onnx").write_bytes(FLOAT)
    measuring.order(order(FLOAT))
    answer(host)
    measuring.order(order(FLOAT))
    measuring.order(order(FLOAT, id="m2"))
    wait_for(lambda: host.replies[-1].id == "m2", "the second answer")
    assert [reply.id for reply in host.replies] == ["m1", "m2"]


def test_junk_is_malformed(measuring):
    for junk in (b"", b"{", b"[]", b'{"id": "x"}', b"\xff" * 40, b"x" * 5000):
        with pytest.raises(WireError):
            measuring.order(junk)


def test_a_signature_of_one_sort_of_order_is_none_of_the_other():
    desired = sign(Desired(site="lab", device="cam1", revision=1), KEY)
    measure = Measure.model_validate_json(order(FLOAT)).model_copy(update={"signature": desired.signature})
    with pytest.raises(SignatureError):
        open_signed_command(Measure, measure.encode(), KEY.public_key())
    assert open_signed(desired.encode(), KEY.public_key()) == desired


def test_wrong_bytes_are_not_measured(host, measuring):
    host.spoil = True
    measuring.order(order(FLOAT))
    assert "sha256" in answer(host).error


@pytest.mark.slow
def test_a_download_that_stands_still_is_given_up_and_the_next_order_is_taken(host, measuring):
    host.mute = True
    measuring.order(order(FLOAT))
    assert "Nobody sent" in answer(host).error
    host.mute = False
    measuring.order(order(FLOAT, id="m2"))
    wait_for(lambda: host.replies[-1].id == "m2", "the second answer")
    assert host.replies[-1].ok


@pytest.mark.slow
def test_what_is_no_model_is_an_answer(host, measuring):
    content = b"this is no model" * 100
    host.files[sha(content)] = content
    measuring.order(order(content))
    reply = answer(host)
    assert not reply.ok
    assert "ONNX" in reply.error


def test_one_at_a_time_and_a_new_model_interrupts_it(host, measuring, tmp_path):
    (tmp_path / "own" / f"{sha(FLOAT)}.onnx").write_bytes(FLOAT)
    measuring.order(order(FLOAT, seconds=60, pause=True))
    measuring.order(order(FLOAT, id="m2"))
    assert "measuring something else already" in answer(host).error
    wait_for(lambda: measuring._process is not None, "the process to start")
    measuring.interrupt()
    wait_for(lambda: len(host.replies) == 2, "the answer to the first")
    assert "Interrupted" in host.replies[-1].error
    assert host.pauses == [True, False]


def layer(outputs=3):
    weights = numpy_helper.from_array(np.ones((outputs, 8), np.float32), "w")
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("x", 8), ("y", outputs))
    ]
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def bundle_order(host, packed, count):
    host.files[sha(packed)] = packed
    return order(layers=LayerBundle(artifact=ref(packed), count=count, beside_bytes=1 << 20))


@pytest.mark.slow
def test_layers_are_timed_in_their_order(host, measuring):
    packed = pack_layers([layer(n).SerializeToString() for n in (2, 3)])
    measuring.order(bundle_order(host, packed, 2))
    found = figures(host).layers
    assert len(found) == 2
    assert all(one.ms > 0 and one.runs == 20 for one in found)


def _external():
    model = layer()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def _foreign():
    model = layer()
    model.graph.node[0].domain = "evil.example"
    return model.SerializeToString()


def _misnamed():
    """A zip whose directory says of a name that it is UTF-8, which it is not; found by atheris."""
    packed = bytearray(pack_layers([layer().SerializeToString()]))
    entry = packed.index(b"PK\x01\x02")
    packed[entry + 8 : entry + 10] = (0x800).to_bytes(2, "little")
    packed[entry + 46] = 0xD1
    return bytes(packed)


@pytest.mark.parametrize(
    ("packed", "count"),
    [
        (b"no zip at all", 1),
        (pack_layers([layer().SerializeToString()]), 2),
        (pack_layers([layer().SerializeToString()])[:-30], 1),
        (pack_layers([b"\xff\xff"]), 1),
        (pack_layers([_external()]), 1),
        (pack_layers([_foreign()]), 1),
        (_misnamed(), 1),
    ],
    ids=["no zip", "another number", "cut off", "no graph", "other files", "foreign operators", "misnamed"],
)
def test_a_bundle_that_is_not_what_it_should_be_is_refused(tmp_path, packed, count):
    path = tmp_path / "bundle"
    path.write_bytes(packed)
    with pytest.raises(ArtifactError):
        list(read_layers(path, count))


def test_a_disk_that_cannot_be_written_is_an_answer(host, measuring, tmp_path):
    (tmp_path / "measuring").touch()
    measuring.order(order(FLOAT))
    assert "cannot be stored" in answer(host).error

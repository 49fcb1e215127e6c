import numpy as np
import onnx
import pytest
from onnx import helper

from slimcast_edge.artifact import NumericKind
from slimcast_edge.artifact_file import check_file, read_info
from slimcast_edge.bench import describe_machine, measure_latency
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure, UnknownKind
from slimcast_edge.runtime import RUNTIMES, open_runtime
from support_artifacts import (
    LABELS,
    finish,
    make_artifact,
    make_model,
    run_reference,
    sample_images,
    write_artifact,
)


@pytest.mark.parametrize("name", RUNTIMES.names())
@pytest.mark.parametrize("channels", [1, 3])
def test_a_runtime_gives_the_reference_s_logits(name, channels):
    runtime = open_runtime(make_artifact(channels=channels), name=name)
    images = np.stack(sample_images(channels=channels))
    logits = runtime.run(images)
    assert logits.dtype == np.float32
    # Means are sums of up to 1536 floats (n * 6e-8 of rounding); ARM's kernels add in another order.
    np.testing.assert_allclose(logits, [run_reference(image) for image in images], rtol=3e-5, atol=1e-4)
    assert [LABELS[i] for i in logits.argmax(1)] == list(LABELS)
    runtime.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        runtime.run(images)


def test_a_file_and_its_bytes_are_the_same_model(tmp_path):
    content = make_artifact()
    path = write_artifact(tmp_path / "m.onnx", content)
    assert read_info(path) == read_info(content) == check_file(path)
    image = np.stack(sample_images())
    np.testing.assert_array_equal(open_runtime(path).run(image), open_runtime(content).run(image))


@pytest.mark.parametrize("shape", [(1, 32, 31, 1), (1, 32, 32, 3), (32, 32, 1)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(RuntimeFailure, match="takes uint8 images"):
        open_runtime(make_artifact()).run(np.zeros(shape, np.uint8))


def test_float_images_are_refused():
    with pytest.raises(RuntimeFailure, match="float32"):
        open_runtime(make_artifact()).run(np.zeros((1, 32, 32, 1), np.float32))


def test_an_unknown_runtime_lists_the_known_ones():
    with pytest.raises(UnknownKind, match="onnxruntime"):
        open_runtime(make_artifact(), name="abacus")


def test_an_operator_that_onnx_runtime_does_not_know_is_named(tmp_path):
    model = make_model()
    model.graph.node[0].op_type = "Wobble"
    content = finish(model, read_info(make_artifact()))
    # ONNX Runtime puts the file's path first: a long one must not push the reason out of the message.
    folder = tmp_path / ("deep" * 50) / ("er" * 50)
    folder.mkdir(parents=True)
    for source in (content, write_artifact(folder / "m.onnx", content)):
        with pytest.raises(ArtifactError, match="No Op registered for Wobble") as caught:
            open_runtime(source)
        assert caught.value.reason is Refusal.UNKNOWN_OPERATOR


def test_a_graph_that_contradicts_its_description_is_refused():
    info = read_info(make_artifact(side=16))
    with pytest.raises(ArtifactError, match="describes an input of") as caught:
        open_runtime(finish(make_model(side=32), info))
    assert caught.value.reason is Refusal.NOT_AN_ARTIFACT


def test_a_damaged_graph_is_a_failure_in_one_sentence():
    model = make_model()
    model.graph.node[3].input[1] = "nowhere"
    with pytest.raises(RuntimeFailure, match="cannot open") as caught:
        open_runtime(finish(model, read_info(make_artifact())))
    assert "\n" not in str(caught.value)


def test_weight_only_artifacts_are_unpacked_at_load():
    """The folded graph has no DequantizeLinear left; an int8 artifact keeps it (its kernels need it)."""
    model = make_model()
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    scale = np.float32(np.abs(weights["mix"]).max() / 127)
    packed = np.round(weights["mix"] / scale).astype(np.int8)
    kept = [item for item in model.graph.initializer if item.name != "mix"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for key, value in {"mix8": packed, "scale": scale, "zero": np.int8(0)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), key))
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["mix8", "scale", "zero"], ["mix"]))
    info = read_info(make_artifact(numeric_kind=NumericKind.WEIGHT_ONLY))
    runtime = open_runtime(finish(model, info))
    entry = runtime._session.get_session_options().get_session_config_entry("session.disable_quant_qdq")
    assert entry == "1"
    images = np.stack(sample_images())
    assert [LABELS[i] for i in runtime.run(images).argmax(1)] == list(LABELS)


def test_latency_counts_what_it_ran():
    latency = measure_latency(open_runtime(make_artifact()), seconds=0.01, min_runs=40)
    assert latency.runs >= 40
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms


def test_latency_uses_the_images_it_is_given():
    seen = []

    class Recording:
        def run(self, images):
            seen.append(int(images[0, 0, 0, 0]))

    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 1), np.uint8)
    measure_latency(Recording(), images, seconds=0, warmup=0, min_runs=7)
    assert seen == [0, 1, 2, 0, 1, 2, 0]


def test_the_machine_is_described():
    assert "cores" in describe_machine()

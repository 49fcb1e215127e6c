import numpy as np
import onnx
import pytest

from slimcast.errors import StepError
from slimcast.export.artifact import pack
from slimcast.export.golden import choose_golden
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import facts_of, weights_of
from slimcast.measure.quality import logits_of
from slimcast.quantize import qdq, static
from slimcast.quantize.static import StaticPlan
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, NumericKind
from slimcast_edge.runtime import open_runtime
from support_engine import SIZE, RecordingReporter, digits, trained_lenet


def _float() -> onnx.ModelProto:
    return export_onnx(trained_lenet(), size=SIZE, mean=digits().mean, std=digits().std, classes=10)


def _pack(graph: onnx.ModelProto, kind: NumericKind) -> bytes:
    labels = [str(i) for i in range(10)]
    info = ArtifactInfo(name="q", labels=labels, input=SIZE, numeric_kind=kind, opset=17, recipe_hash="")
    return pack(graph, info)


def _answers(content: bytes) -> np.ndarray:
    runtime = open_runtime(content)
    try:
        return logits_of(runtime, digits().test_images, reporter=SilentReporter())
    finally:
        runtime.close()


@pytest.mark.parametrize("activations", ["int8", "uint8"])
def test_the_int8_file_is_small_and_keeps_the_answers(activations):
    reporter = RecordingReporter()
    graph = static.quantize(
        _float(), digits().train_images, StaticPlan(activations=activations, samples=64), reporter=reporter
    )
    content, whole = _pack(graph, NumericKind.INT8), _pack(_float(), NumericKind.FLOAT32)
    assert len(content) < 0.3 * len(whole)
    floats = [w for w in weights_of(onnx.load_from_string(content)) if w.dtype != np.int8]
    assert [w.shape for w in floats] == [(6, 1, 5, 5)], "the first convolution, and nothing else, is in float"
    logits, wanted = _answers(content), _answers(whole)
    assert (logits.argmax(1) == wanted.argmax(1)).mean() > 0.97
    assert any("4 of 5 convolutions and linear layers run in integers" in text for _, text in reporter.logs)
    golden = choose_golden(content, digits().test_images, digits().test_labels, logits, NumericKind.INT8)
    # Tight enough that another file would not pass: a quarter of the logits' range at most.
    assert golden.tolerance < 0.25 * float(np.ptp(logits))
    assert facts_of(content).compressed_bytes <= len(content)


def test_any_number_of_images_can_calibrate():
    graph = static.quantize(
        _float(), digits().train_images, StaticPlan(samples=75), reporter=SilentReporter()
    )
    assert any(node.op_type == "QuantizeLinear" for node in graph.graph.node)


def test_held_out_images_play_no_part(monkeypatch):
    seen = []
    original = qdq._Reader

    def watch(images):
        seen.extend(image.tobytes() for image in images)
        return original(images)

    monkeypatch.setattr(qdq, "_Reader", watch)
    static.quantize(_float(), digits().train_images, StaticPlan(samples=32), reporter=SilentReporter())
    trained = {image.tobytes() for image in digits().train_images}
    assert seen
    assert set(seen) <= trained


def test_a_quantizer_that_fails_says_so(monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("no calibration data")

    monkeypatch.setattr(qdq, "quantize_static", fail)
    with pytest.raises(StepError, match="no calibration data"):
        static.quantize(
            _float(),
            digits().train_images,
            StaticPlan(samples=32),
            reporter=SilentReporter(),
        )

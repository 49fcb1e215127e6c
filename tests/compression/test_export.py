import copy

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slimcast.errors import ModelError, StepError
from slimcast.export.artifact import pack
from slimcast.export.golden import choose_golden
from slimcast.export.make import make_artifact
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.quality import logits_of as runtime_logits
from slimcast.models.build import NetworkSpec, build
from slimcast.reporting import SilentReporter
from slimcast.train.fit import logits_of
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.artifact_file import read_info
from slimcast_edge.runtime import open_runtime
from support_engine import LENET, SIZE, digits, trained_lenet

QUIET = SilentReporter()


def _info(size: InputSpec = SIZE) -> ArtifactInfo:
    labels = [str(i) for i in range(10)]
    return ArtifactInfo(
        name="test",
        labels=labels,
        input=size,
        numeric_kind=NumericKind.FLOAT32,
        opset=17,
        recipe_hash="0" * 64,
    )


def _export(model: nn.Module) -> onnx.ModelProto:
    return export_onnx(model, size=SIZE, mean=digits().mean, std=digits().std, classes=10)


def _answers(content: bytes, images: np.ndarray) -> np.ndarray:
    runtime = open_runtime(content)
    try:
        return runtime_logits(runtime, images, reporter=QUIET)
    finally:
        runtime.close()


def test_batch_norms_are_folded_and_names_are_short():
    model = build(NetworkSpec(model="mobilenet_v2", classes=10, channels=1, image_size=32))
    proto = onnx.load_from_string(pack(_export(model), _info()))
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}
    assert max(len(item.name) for item in proto.graph.initializer) <= 4
    assert "features.2.conv.1.0" in {node.name for node in proto.graph.node}


def test_the_same_network_gives_the_same_bytes():
    assert pack(_export(trained_lenet()), _info()) == pack(_export(copy.deepcopy(trained_lenet())), _info())


def test_an_unknown_operation_is_refused_by_name():
    with pytest.raises(ModelError, match="Softplus"):
        _export(nn.Sequential(nn.Flatten(), nn.Linear(1024, 10), nn.Softplus()))


def test_an_artifact_is_measured_proven_and_described():
    model = trained_lenet()
    wanted = logits_of(model, digits().test_images, digits(), reporter=QUIET)
    artifact = make_artifact(
        _export(model), _info(), digits(), torch_logits=wanted, threads=1, reporter=QUIET
    )
    info = read_info(artifact.content)
    assert artifact.quality.accuracy == pytest.approx((wanted.argmax(1) == digits().test_labels).mean())
    assert artifact.quality.agreement == 1
    assert info.measurements["accuracy"] == pytest.approx(artifact.quality.accuracy, abs=1e-6)
    assert len(info.golden.samples) == 4
    assert artifact.fresh.latency.p50_ms > 0
    # The fresh process had no torch: torch alone takes more than this.
    assert 10 < artifact.fresh.peak_rss_mb < 250
    held_out = {image.tobytes() for image in digits().test_images}
    assert all(sample.pixels().tobytes() in held_out for sample in info.golden.samples)


def test_a_file_that_answers_otherwise_is_an_error():
    wanted = logits_of(build(LENET, seed=8), digits().test_images, digits(), reporter=QUIET)
    with pytest.raises(StepError, match="otherwise"):
        make_artifact(
            _export(trained_lenet()), _info(), digits(), torch_logits=wanted, threads=1, reporter=QUIET
        )


def test_golden_samples_tell_a_healthy_file_from_a_damaged_one():
    content = pack(_export(trained_lenet()), _info())
    data = digits()
    golden = choose_golden(
        content, data.test_images, data.test_labels, _answers(content, data.test_images), NumericKind.FLOAT32
    )
    images = np.stack([sample.pixels() for sample in golden.samples])
    wanted = np.asarray([sample.logits for sample in golden.samples])
    assert np.abs(_answers(content, images) - wanted).max() <= golden.tolerance
    damaged = copy.deepcopy(trained_lenet())
    with torch.no_grad():
        damaged.fc2.weight[:, :20] = 0
    assert np.abs(_answers(pack(_export(damaged), _info()), images) - wanted).max() > golden.tolerance


def test_a_network_without_a_right_answer_gets_no_golden_samples():
    content = pack(_export(trained_lenet()), _info())
    logits = _answers(content, digits().test_images)
    wrong = (logits.argmax(1) + 1) % 10
    with pytest.raises(StepError, match="no right answer"):
        choose_golden(content, digits().test_images, wrong, logits, NumericKind.FLOAT32)

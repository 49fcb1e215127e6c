"""Every network of the catalog can be built, saved, loaded, exported and quantized."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slimcast.catalog import MODELS
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_exported_parameters
from slimcast.measure.files import weights_of
from slimcast.measure.quality import logits_of
from slimcast.models.build import NetworkSpec, build
from slimcast.models.head import final_classifier, head_of
from slimcast.models.state import load_state, save_state
from slimcast.quantize import static
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.runtime import open_runtime
from support_networks import DEEP, LARGE, SAME_OPERATIONS, answers_of, lively, networks, photographs, spec_of

QUIET = SilentReporter()
WHOLE = "alexnet_imagenet"  # goes through export with all of its 57 million weights
PARAMETERS = {  # with ten classes and coloured images, as published or as torchvision has them
    "alexnet": 23_272_266,
    "alexnet_imagenet": 57_044_810,
    "densenet121": 6_964_106,
    "densenet40": 1_019_722,
    "efficientnet_b0": 4_020_358,
    "lenet5": 62_006,
    "mobilenet_v2": 2_236_682,
    "mobilenet_v3_large": 4_214_842,
    "mobilenet_v3_small": 1_528_106,
    "resnet18": 11_181_642,
    "resnet20": 272_282,
    "resnet32": 466_714,
    "resnet34": 21_289_802,
    "resnet50": 23_528_522,
    "resnet56": 855_578,
    "vgg16": 14_982_474,
    "vgg16_bn": 14_990_922,
    "vgg16_imagenet": 134_301_514,
    "vgg16_bn_imagenet": 134_309_962,
}


def _export(model: nn.Module, spec: NetworkSpec) -> onnx.ModelProto:
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels)
    mean, std = (0.5,) * spec.channels, (0.25,) * spec.channels
    return export_onnx(model, size=size, mean=mean, std=std, classes=spec.classes)


def _answers(graph: onnx.ModelProto, spec: NetworkSpec, images: np.ndarray, kind: NumericKind) -> np.ndarray:
    info = ArtifactInfo(
        name="n",
        labels=[str(i) for i in range(spec.classes)],
        input=InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels),
        numeric_kind=kind,
        opset=17,
        recipe_hash="",
    )
    runtime = open_runtime(pack(graph, info))
    try:
        return logits_of(runtime, images, reporter=QUIET)
    finally:
        runtime.close()


@pytest.mark.parametrize("name", networks(*LARGE))
def test_it_has_its_published_size_and_one_logit_for_each_class(name):
    spec = spec_of(name, channels=3, classes=10)
    model = build(spec)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    with torch.no_grad():
        assert model(torch.zeros(2, 3, spec.image_size, spec.image_size)).shape == (2, 10)
    assert final_classifier(model)[0].startswith(head_of(model))


@pytest.mark.parametrize("name", networks(*LARGE))
def test_it_survives_saving_and_loading(name, tmp_path):
    spec = spec_of(name)
    model = lively(spec)
    path = tmp_path / "network.safetensors"
    path.write_bytes(save_state(model, spec))
    loaded, found = load_state(path)
    assert found == spec
    images = photographs(2, spec)
    np.testing.assert_array_equal(answers_of(loaded, images), answers_of(model, images))


@pytest.mark.parametrize("name", networks(*LARGE))
def test_the_file_answers_as_the_network_does(name):
    spec = spec_of(name)
    model = build(spec) if name == WHOLE else lively(spec)
    images = photographs(4, spec)
    wanted = answers_of(model, images)
    graph = _export(model, spec)
    found = _answers(graph, spec, images, NumericKind.FLOAT32)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * max(1.0, float(np.ptp(wanted))))
    assert sum(w.size + w.shape[0] for w in weights_of(graph)) == count_exported_parameters(model)


@pytest.mark.parametrize("name", networks(*LARGE, *DEEP, without=SAME_OPERATIONS))
def test_in_int8_it_mostly_answers_the_same(name):
    spec = spec_of(name)
    model = lively(spec)
    # One way to find ranges does for this, two where layers are depthwise; which wins is tested elsewhere.
    depthwise = any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in model.modules())
    ranges = (static.CANDIDATES[0], static.CANDIDATES[-1]) if depthwise else static.CANDIDATES[:1]
    plan = static.StaticPlan(samples=16, ranges=ranges)
    images = photographs(32, spec)
    graph = _export(model, spec)
    int8 = static.quantize(graph, images, plan, reporter=QUIET)
    wanted = answers_of(model, images)
    found = _answers(int8, spec, images, NumericKind.INT8)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.35 * wanted.std()
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.75
    stored = weights_of(int8)
    assert sum(w.size for w in stored if w.dtype == np.int8) > 0.9 * sum(w.size for w in stored)


@pytest.mark.parametrize("name", [n for n in MODELS.names() if MODELS[n].imagenet and n not in LARGE])
def test_imagenet_weights_have_the_shapes_of_the_small_form(name):
    """Small images change strides, not shapes, so torchvision's weights fit."""
    small = replace(spec_of(name, channels=3), classes=1000)
    shapes = {k: v.shape for k, v in build(small).state_dict().items()}
    large = {k: v.shape for k, v in build(replace(small, image_size=224)).state_dict().items()}
    assert shapes == large

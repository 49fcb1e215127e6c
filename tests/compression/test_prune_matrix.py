"""Every network of the catalog under the pruner, and every criterion on networks of several kinds.

Networks and criteria are taken from the catalog, so that new ones are tested on the day they are added. What
does not apply is listed here with its error, and in docs/recipes.md.
"""

import pytest
import torch

from slimcast.catalog import CRITERIA, MODELS
from slimcast.errors import StepError
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.models.state import load_state, save_state
from slimcast_edge.artifact import INPUT_NAME, ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.runtime import open_runtime
from support_prune import cut, macs, network, samples, spec_of

SCOPES = ["local", "global", "isomorphic"]
DOES_NOT_APPLY = {
    ("lenet5", "bn_scale"): "this network has none",
}
FAST = {"lenet5", "resnet20"}


def _networks():
    return [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in MODELS.names()]


@pytest.mark.parametrize("name", _networks())
def test_every_network_is_pruned_saved_loaded_and_exported(name, tmp_path):
    model, image = network(name)
    spec = spec_of(name)
    pruned, report = cut(model, image, macs(image, 0.6), round_to=2 if name == "lenet5" else 8)
    assert report.macs <= 0.6 * report.macs_before
    assert report.macs == count_macs(pruned, image)
    assert report.parameters < report.parameters_before == count_parameters(model)
    path = tmp_path / "pruned.safetensors"
    path.write_bytes(save_state(pruned, spec))
    loaded, _ = load_state(path)
    pixels = torch.randint(0, 256, (1, spec.image_size, spec.image_size, 3), dtype=torch.uint8)
    with torch.no_grad():
        wanted = pruned(pixels.permute(0, 3, 1, 2) / 255)
        assert torch.equal(loaded(pixels.permute(0, 3, 1, 2) / 255), wanted)
    answer = _through_onnx(pruned, spec, pixels.numpy())
    torch.testing.assert_close(
        torch.from_numpy(answer), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max())
    )


def _through_onnx(model, spec, pixels):
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=3)
    graph = export_onnx(model, size=size, mean=(0.0,) * 3, std=(1.0,) * 3, classes=spec.classes)
    info = ArtifactInfo(
        name="matrix",
        labels=[str(i) for i in range(spec.classes)],
        input=size,
        numeric_kind=NumericKind.FLOAT32,
        opset=graph.opset_import[0].version,
        recipe_hash="",
    )
    assert graph.graph.input[0].name == INPUT_NAME
    runtime = open_runtime(pack(graph, info), threads=1)
    try:
        return runtime.run(pixels)
    finally:
        runtime.close()


# The scope puts channels in line, whatever criterion has ranked them: on the deep network one scope does.
@pytest.mark.parametrize(
    ("name", "scope"),
    [
        *[(name, scope) for name in ("lenet5", "resnet20") for scope in SCOPES],
        pytest.param("mobilenet_v2", "global", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("criterion", CRITERIA.names())
def test_every_criterion_on_networks_of_several_kinds(name, criterion, scope):
    model, image = network(name)
    plan = {"criterion": criterion, "scope": scope, "round_to": 2, "given": samples(image, count=6)}
    if (name, criterion) in DOES_NOT_APPLY:
        with pytest.raises(StepError, match=DOES_NOT_APPLY[name, criterion]):
            cut(model, image, macs(image, 0.7), **plan)
        return
    pruned, report = cut(model, image, macs(image, 0.7), **plan)
    assert report.macs <= 0.7 * report.macs_before
    assert pruned(image).shape == (1, 10)

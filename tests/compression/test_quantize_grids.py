"""Where graphs round, read from what ONNX Runtime's quantizer has made, and grids handed to it."""

import numpy as np
import pytest
import torch

from slimcast.export.onnx_export import export_onnx
from slimcast.quantize.grids import Grid, overrides, rounding_of
from slimcast.quantize.qdq import insert
from slimcast.quantize.static import MINMAX
from slimcast.quantize.workspace import Workspace
from slimcast_edge.artifact import InputSpec
from support_branches import Branches

SIDE = 8


def images(count=16, side=SIDE):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def graphs(chosen=None, activations="uint8", network=Branches):
    torch.manual_seed(0)
    size = InputSpec(height=SIDE, width=SIDE, channels=3)
    whole = export_onnx(network().eval(), size=size, mean=(0.5,) * 3, std=(0.25,) * 3, classes=4)
    with Workspace() as folder:
        return whole, insert(whole, images(), MINMAX, activations, (), folder, chosen)


def _made_by(graph, kind, index=0):
    return [node.output[0] for node in graph.graph.node if node.op_type == kind][index]


def test_tensors_and_layers_that_are_rounded():
    whole, quantized = graphs()
    found = rounding_of(quantized, whole)
    relus = [_made_by(whole, "Relu", index) for index in range(3)]
    right, concat = _made_by(whole, "Conv", 2), _made_by(whole, "Concat")
    # No convolution whose activation is fused to it, and the first one only as what the second reads.
    assert set(found.grids) == {*relus, right, concat, "logits"}
    assert found.layers == ("left", "right", "last", "head")
    assert found.averages == {_made_by(whole, "AveragePool"): concat}
    # The grid of a fused ReLU has no negative numbers, which is what makes it one: it stays with it.
    assert found.joined == {right: concat}
    assert found.leaders == [relus[0], relus[1], concat, relus[2], "logits"]


def test_branches_that_all_end_in_a_relu_get_one_grid():
    whole, quantized = graphs(network=lambda: Branches(both=True))
    concat = _made_by(whole, "Concat")
    branches = [_made_by(whole, "Relu", index) for index in (1, 2)]
    assert rounding_of(quantized, whole).joined == dict.fromkeys(branches, concat)


@pytest.mark.parametrize("activations", ["int8", "uint8"])
def test_chosen_grids_are_those_of_the_graph(activations):
    whole, calibrated = graphs(activations=activations)
    before = rounding_of(calibrated, whole)
    chosen = {tensor: Grid(scale=0.1 + index, zero_point=7) for index, tensor in enumerate(before.leaders)}
    _, given = graphs(overrides(before, chosen, activations), activations)
    after = rounding_of(given, whole)
    assert after.layers == before.layers
    for tensor, grid in after.grids.items():
        wanted = chosen[before.joined.get(tensor, tensor)]
        assert grid.zero_point == wanted.zero_point
        assert grid.scale == pytest.approx(wanted.scale, rel=1e-7)


def test_what_is_not_chosen_is_calibrated():
    whole, calibrated = graphs()
    before = rounding_of(calibrated, whole)
    _, given = graphs(overrides(before, {"logits": Grid(scale=3.0, zero_point=1)}, "uint8"))
    after = rounding_of(given, whole)
    assert after.grids.pop("logits") == Grid(scale=3.0, zero_point=1)
    assert after.grids.items() <= before.grids.items()

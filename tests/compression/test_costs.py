import pytest
import torch

from slimcast.measure.cost import count_macs, count_parameters
from slimcast.pipeline.costs import costs_of, draft_artifact, latency_of
from slimcast.pipeline.job import Job
from slimcast.recipe import parse_recipe
from slimcast_edge.artifact import NumericKind
from slimcast_edge.artifact_file import read_info
from support_engine import LENET, MemoryStore, digits, trained_lenet

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps: [{kind: train}]
"""


@pytest.fixture
def job(tmp_path):
    return Job(
        recipe=parse_recipe(RECIPE),
        run_id="r",
        store=MemoryStore(tmp_path),
        data=digits(),
        network=LENET,
        threads=1,
    )


def test_each_cost_is_that_of_the_network(job):
    model = trained_lenet()
    before = [parameter.clone() for parameter in model.parameters()]
    costs = costs_of(job)
    assert {name: cost.name for name, cost in costs.items()} == {name: name for name in costs}
    assert costs["macs"].of(model) == count_macs(model, job.example)
    assert costs["params"].of(model) == count_parameters(model)
    assert costs["size_bytes"].of(model) == pytest.approx(4 * count_parameters(model), rel=0.05)
    assert costs["latency_ms"].of(model) > 0
    assert [name for name, cost in costs.items() if not cost.exact] == ["latency_ms"]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_an_int8_draft_is_smaller_and_runs(job):
    content = draft_artifact(job, trained_lenet(), "int8")
    assert read_info(content).numeric_kind is NumericKind.INT8
    assert len(content) < 0.4 * len(draft_artifact(job, trained_lenet()))
    assert latency_of(job, trained_lenet(), "int8", seconds=0.02).runs >= 30

"""The step `prune` in a recipe: what it asks of the rest, and what it leaves behind."""

import dataclasses

import pytest
import torch

from slimcast.errors import RecipeError, StepError
from slimcast.measure.cost import Cost, count_parameters
from slimcast.models.state import load_state, save_state
from slimcast.pipeline import pruning
from slimcast.pipeline.artifacts import save
from slimcast.pipeline.drafts import float_draft
from slimcast.pipeline.job import Job
from slimcast.recipe import parse_recipe
from slimcast.reporting import ScaledReporter
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = """
version: 1
name: tiny
model: {{name: lenet5}}
data: {{name: digits}}
steps:
  - {{kind: prune, round_to: 2, {step}}}
"""


def _job(step, tmp_path):
    return Job(
        recipe=parse_recipe(RECIPE.format(step=step)),
        run_id="r",
        store=MemoryStore(tmp_path),
        data=dataclasses.replace(
            digits(), train_images=digits().train_images[:500], train_labels=digits().train_labels[:500]
        ),
        network=LENET,
        threads=1,
    )


def _run(step, tmp_path):
    job, reporter = _job(step, tmp_path), RecordingReporter()
    pruned = pruning.run_pruning(job, 0, job.recipe.steps[0], trained_lenet(), ScaledReporter(reporter, 0, 1))
    return job, pruned, reporter


@pytest.mark.parametrize("criterion", ["taylor", "hessian", "apoz", "hrank"])
def test_criteria_get_the_images_that_they_need(criterion, tmp_path):
    step = f"criterion: {criterion}, criterion_images: 20, target: {{macs: 0.6}}, scope: global"
    job, pruned, _ = _run(step, tmp_path)
    [table] = job.store.tables("r")
    assert table.name == "0-channels"
    assert {name: after for name, _, after in table.rows}["conv1"] == pruned.conv1.out_channels


@pytest.mark.parametrize(("measure", "numbers"), [("bytes", "float32"), ("bytes", "int8")])
def test_a_budget_in_bytes_holds_for_the_finished_artifact(measure, numbers, tmp_path):
    budget = {"float32": 100_000, "int8": 35_000}[numbers]
    job, pruned, reporter = _run(f"target: {{bytes: {budget}, numbers: {numbers}}}", tmp_path)
    if numbers == "float32":
        save(job, 0, float_draft(job, pruned), ScaledReporter(reporter, 0, 1))
        [variant] = job.store.variants("r")
        assert 0.8 * budget < variant.value("size_bytes") <= budget
    assert sum(p.numel() for p in pruned.parameters()) < 61_706 * (0.45 if numbers == "float32" else 0.6)


@pytest.mark.parametrize(("target", "at_most"), [("0.6", 3.7), ("2", 2.0)])
def test_a_latency_is_asked_of_the_measure_that_the_job_gives(target, at_most, tmp_path, monkeypatch):
    def slow(_job, numbers, *, reporter):
        assert numbers == "int8"
        return {"latency_ms": Cost(name="latency_ms", unit="ms", of=_pretended, exact=False)}

    monkeypatch.setattr(pruning, "costs_of", slow)
    _, pruned, reporter = _run(f"target: {{latency_ms: {target}, numbers: int8}}", tmp_path)
    assert 0.9 * at_most < _pretended(pruned) <= at_most
    assert any("ms remain of 6.171 ms" in text for _, text in reporter.logs)


def _pretended(model):
    return count_parameters(model) / 10_000


def test_rounds_with_distillation_and_regularization_keep_what_was_learnt(tmp_path):
    step = (
        "target: {macs: 0.5}, rounds: 2, finetune_epochs: 1, batch_size: 32, distill: {}, "
        "regularize: {kind: group_norm, epochs: 1}"
    )
    _, pruned, reporter = _run(step, tmp_path)
    curve = [(x, y) for series, x, y, _ in reporter.points if series == "test accuracy"]
    assert [x for x, _ in curve] == [1, 2]  # regularizing, then one epoch between the rounds
    assert curve[-1][1] > 0.85
    assert reporter.fractions == sorted(reporter.fractions)
    assert reporter.fractions[-1] <= 1
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in pruned.parameters())


def test_what_is_left_survives_saving_and_loading(tmp_path):
    job, pruned, _ = _run("target: {params: 0.4}, criterion: fpgm, scope: isomorphic", tmp_path)
    path = tmp_path / "pruned.safetensors"
    path.write_bytes(save_state(pruned, job.network))
    loaded, _ = load_state(path)
    image = torch.rand(2, 1, 32, 32)
    assert torch.equal(loaded(image), pruned(image))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("target: {bytes: 6000}", "least that can be reached is .* B, of .* B"),
        ("target: {latency_ms: 1000}", "within the target"),
        ("criterion: bn_scale, target: {macs: 0.5}", "this network has none"),
        ("regularize: {kind: bn_scale, epochs: 1}, target: {macs: 0.5}", "Choose group_norm"),
        ("keep: [features.0], target: {macs: 0.5}", "fits no layer of this network. Its layers: conv1"),
    ],
)
def test_what_cannot_be_done_fails_the_step(step, message, tmp_path):
    with pytest.raises(StepError, match=message):
        _run(step, tmp_path)


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        ("rounds: 1", "steps.0", "needs a target, such as target: {macs: 0.5}, or ratios"),
        (
            "target: {}",
            "steps.0.target",
            "must have exactly one of channels, macs, params, bytes, latency_ms",
        ),
        ("target: {macs: 0.5, bytes: 0.5}", "steps.0.target", "has macs, bytes"),
        ("target: {channels: 2}", "steps.0.target.channels", "must be less than 1"),
        ("target: {bytes: 250}", "steps.0.target.bytes", "at least 1000 (a budget), but is 250"),
        ("ratios: {conv1: 1.0}", "steps.0.ratios.conv1", "must be less than 1"),
        ("target: {macs: 0.5}, scope: globl", "steps.0.scope", "'local', 'global' or 'isomorphic'"),
        ("target: {macs: 0.5}, regularize: {kind: l1, epochs: 1}", "steps.0.regularize.kind", "'group_norm'"),
    ],
)
def test_wrong_recipes_are_refused_before_anything_runs(step, path, message):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(RECIPE.format(step=step))
    assert [(found, message in text) for found, text in caught.value.problems] == [(path, True)]

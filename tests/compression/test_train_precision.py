"""How trainings compute: by rule, by probe, by recipe; and that a decision once made stays."""

import copy
import dataclasses
import json

import pytest
import torch
from torch import nn

from slimcast.errors import Cancelled
from slimcast.models.build import NetworkSpec, build
from slimcast.pipeline import precision as decisions
from slimcast.pipeline.job import Job
from slimcast.pipeline.precision import precision_for
from slimcast.recipe import parse_recipe
from slimcast.reporting import SilentReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import SMALL_MACS, Precision, choose
from slimcast.train.probe import MARGIN, Probe, decide, probe
from support_engine import LENET, MemoryStore, RecordingReporter, digits

CPU = torch.device("cpu")
PLAIN, LAST, HALF = (
    Precision(bfloat16=half, channels_last=last)
    for half, last in [(False, False), (False, True), (True, True)]
)
RESNET = NetworkSpec(model="resnet20", classes=10, channels=1, image_size=32)
RECIPE = "{name: p, model: {name: resnet20}, data: {name: digits, image_size: 32}, steps: [{kind: train}]}"


@pytest.fixture
def job(tmp_path):
    return Job(
        recipe=parse_recipe(RECIPE), run_id="r", store=MemoryStore(tmp_path), data=digits(), network=RESNET,
        threads=1, cache_folder=tmp_path / "cache",
    )  # fmt: skip


def test_small_networks_compute_plainly():
    assert choose(build(LENET), CPU, macs=SMALL_MACS - 1) == PLAIN


def test_only_a_clearly_faster_way_departs_from_the_rule():
    assert decide({PLAIN: 100.0, LAST: 100 * MARGIN - 1, HALF: 90.0}, PLAIN) == PLAIN
    assert decide({PLAIN: 100.0, LAST: 100 * MARGIN + 1, HALF: 90.0}, PLAIN) == LAST
    assert decide({PLAIN: 100.0, LAST: 90.0, HALF: 95.0}, HALF) == HALF


def test_a_probe_times_every_way_and_leaves_the_network_alone():
    model = build(RESNET)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(4)
    drawn = torch.rand(3)
    torch.manual_seed(4)
    found = probe(model, (1, 32, 32), batch_size=4, device=CPU, rule=LAST, reporter=SilentReporter())
    assert torch.equal(torch.rand(3), drawn)
    assert set(found.images_per_s) == {PLAIN, LAST, HALF}
    assert min(found.images_per_s.values()) > 0
    assert found.precision == decide(found.images_per_s, LAST)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_probe_can_be_cancelled():
    reporter = RecordingReporter(cancel_when=(0, "started"))
    reporter.step(0, "train", "started")
    with pytest.raises(Cancelled):
        probe(build(RESNET), (1, 32, 32), batch_size=4, device=CPU, rule=LAST, reporter=reporter)


def test_what_was_probed_once_is_shown_and_then_remembered(job, monkeypatch):
    answers = [HALF, PLAIN]

    def scripted(*_arguments, **_options):
        chosen = answers.pop(0)
        return Probe(precision=chosen, images_per_s={PLAIN: 100.0, HALF: 250.0})

    monkeypatch.setattr(decisions, "probe", scripted)
    reporter, model = RecordingReporter(), build(RESNET)
    assert precision_for(job, model, batch_size=64, reporter=reporter) == HALF
    assert (
        precision_for(job, model, batch_size=64, reporter=reporter) == HALF
    )  # another run, or a resumed one
    told = [text for _, text in reporter.logs if text.startswith("Probed")]
    assert len(told) == 1
    assert "bfloat16 autocast, channels last 250 images/s; float32 100 images/s" in told[0]
    assert precision_for(job, model, batch_size=32, reporter=reporter) == PLAIN  # another question
    assert len(json.loads((job.cache_folder / "precision.json").read_text())) == 2


def test_a_damaged_memory_is_probed_anew(job, monkeypatch):
    monkeypatch.setattr(decisions, "probe", lambda *_, **__: Probe(precision=HALF, images_per_s={HALF: 1.0}))
    job.cache_folder.mkdir()
    (job.cache_folder / "precision.json").write_text('{"a": 3')
    assert precision_for(job, build(RESNET), batch_size=8, reporter=SilentReporter()) == HALF


def test_small_and_frozen_networks_are_not_probed(job, monkeypatch):
    monkeypatch.setattr(decisions, "probe", lambda *_, **__: pytest.fail("probed"))
    small = dataclasses.replace(job, network=LENET)
    assert precision_for(small, build(LENET), batch_size=8, reporter=SilentReporter()) == PLAIN
    frozen = build(RESNET).requires_grad_(False)
    assert isinstance(precision_for(job, frozen, batch_size=8, reporter=SilentReporter()), Precision)


@pytest.mark.parametrize("numbers", ["float32", "bfloat16"])
@pytest.mark.parametrize("last", [True, False])
def test_the_recipe_has_the_last_word(job, monkeypatch, numbers, last):
    monkeypatch.setattr(decisions, "probe", lambda *_, **__: pytest.fail("probed"))
    found = precision_for(
        job, build(RESNET), batch_size=8, reporter=SilentReporter(), numbers=numbers, channels_last=last
    )
    assert found == Precision(bfloat16=numbers == "bfloat16", channels_last=last)


def test_the_recipe_may_settle_one_half_of_the_question(job, monkeypatch):
    monkeypatch.setattr(decisions, "probe", lambda *_, **__: Probe(precision=HALF, images_per_s={HALF: 1.0}))
    model, quiet = build(RESNET), SilentReporter()
    assert precision_for(job, model, batch_size=8, reporter=quiet, numbers="float32") == LAST
    found = precision_for(job, model, batch_size=8, reporter=quiet, channels_last=False)
    assert found == Precision(bfloat16=True, channels_last=False)


@pytest.mark.parametrize("precision", [PLAIN, LAST, HALF])
def test_every_way_trains_and_gives_back_plain_float32_weights(precision):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2),
        nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    plan = TrainingPlan(epochs=3, batch_size=64, precision=precision, augment=False)
    trained, losses = [], []
    for twin in (copy.deepcopy(model), copy.deepcopy(model)):
        reporter = RecordingReporter()
        fit(twin, digits(), plan, reporter=reporter)
        losses = [y for name, _, y, _ in reporter.points if name == "train loss"]
        trained.append(twin.state_dict())
    assert losses[-1] < losses[0]
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert all(value.is_contiguous() and value.dtype != torch.bfloat16 for value in trained[0].values())

"""Schedules, optimizers, moving average, early stopping, frozen parts, batch-norm statistics."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from slimcast.errors import Cancelled, StepError
from slimcast.models.build import build
from slimcast.reporting import SilentReporter
from slimcast.train.average import MovingAverage
from slimcast.train.fit import fit, logits_of
from slimcast.train.modes import train_mode
from slimcast.train.optimize import make_optimizer
from slimcast.train.plan import TrainingPlan
from slimcast.train.recalibrate import reestimate_batch_norm
from slimcast.train.schedule import rate_schedule
from slimcast.train.stopping import EarlyStopping
from support_engine import LENET, RecordingReporter, digits, trained_lenet


class Normed(nn.Module):
    """A convolution with batch norm and a classifier, for digits of 32 pixels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=4)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8 * 7 * 7, 10)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).flatten(1)))


def _normed():
    torch.manual_seed(0)
    return Normed().eval()


def _few(count=320):
    data = digits()
    return dataclasses.replace(
        data, train_images=data.train_images[:count], train_labels=data.train_labels[:count]
    )


def _rates(total=100, **plan):
    schedule = rate_schedule(TrainingPlan(epochs=10, **plan), total=total, per_epoch=10)
    return [schedule(index) for index in range(total)]


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
def test_schedules_rise_to_the_peak_and_end_as_they_say(schedule):
    rates = _rates(schedule=schedule)
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert top == {"cosine": 10, "one_cycle": 30, "constant": 10}[schedule]
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == (1.0 if schedule == "constant" else pytest.approx(0.0, abs=0.003))


def test_warm_up_is_as_long_as_the_plan_says():
    assert _rates(schedule="constant", warmup_epochs=0) == [1.0] * 100
    assert _rates(schedule="constant", warmup_epochs=2).index(1.0) == 20
    assert _rates(total=20_000).index(max(_rates(total=20_000))) == 500


@pytest.mark.parametrize(("optimizer", "decay"), [("sgd", 5e-4), ("adamw", 0.01)])
def test_weights_decay_but_neither_biases_nor_norms_nor_what_is_frozen(optimizer, decay):
    model = _normed()
    model.conv.weight.requires_grad = False
    made = make_optimizer(model, TrainingPlan(epochs=1, optimizer=optimizer))
    found = {id(p): group["weight_decay"] for group in made.param_groups for p in group["params"]}
    wanted = {id(p): decay if p.ndim > 1 else 0.0 for p in model.parameters() if p is not model.conv.weight}
    assert found == wanted


def test_a_network_that_is_frozen_whole_is_refused():
    model = _normed().requires_grad_(False)
    with pytest.raises(StepError, match="frozen"):
        fit(model, _few(), TrainingPlan(epochs=1), reporter=SilentReporter())


def test_frozen_layers_and_their_batch_norms_stay_as_they_are():
    model = _normed()
    for part in (model.conv, model.norm):
        part.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    fit(model, _few(), TrainingPlan(epochs=1, batch_size=64), reporter=SilentReporter())
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    train_mode(model)
    assert not model.norm.training
    assert model.drop.training


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
def test_every_optimizer_learns_with_every_schedule(optimizer, schedule):
    rate = 0.05 if optimizer == "sgd" else 2e-3
    reporter = RecordingReporter()
    plan = TrainingPlan(
        epochs=4,
        batch_size=32,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=rate,
        label_smoothing=0.05,
    )
    fit(_normed(), _few(), plan, reporter=reporter)
    losses = [y for name, _, y, _ in reporter.points if name == "train loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_the_gradient_is_clipped_to_the_norm_of_the_plan():
    def moved_by(clip):
        model = build(LENET)
        before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        plan = TrainingPlan(
            epochs=0.01, batch_size=64, optimizer="sgd", learning_rate=1.0, weight_decay=0.0,
            gradient_clip=clip, warmup_epochs=0,
        )  # fmt: skip
        fit(model, digits(), plan, reporter=SilentReporter())
        return float((nn.utils.parameters_to_vector(model.parameters()).detach() - before).norm())

    # One step of Nesterov's momentum moves by rate * (1 + momentum) * gradient.
    assert moved_by(1e-3) == pytest.approx(1.9e-3, rel=0.01)
    assert moved_by(None) > 1e-2


def test_the_moving_average_follows_weights_and_statistics():
    model = _normed()
    average = MovingAverage(model, decay=0.5)
    with torch.no_grad():
        model.head.weight.fill_(3.0)
        model.norm.running_mean.fill_(8.0)
        model.norm.num_batches_tracked.fill_(7)
    start = copy.deepcopy(average.model.state_dict())
    for _ in range(4):
        average.update()
    decays = [min(0.5, (1 + step) / (10 + step)) for step in (1, 2, 3, 4)]
    left = torch.tensor(decays).prod()
    wanted = 3.0 + (start["head.weight"] - 3.0) * left
    assert torch.allclose(average.model.head.weight, wanted, atol=1e-6)
    assert torch.allclose(average.model.norm.running_mean, torch.full((8,), 8.0) * (1 - left))
    assert int(average.model.norm.num_batches_tracked) == 7


def test_training_with_an_average_ends_with_the_average():
    plain, averaged = build(LENET), build(LENET)
    plan = TrainingPlan(epochs=1, batch_size=64)
    fit(plain, digits(), plan, reporter=SilentReporter())
    weights = []
    fit(
        averaged,
        digits(),
        dataclasses.replace(plan, ema_decay=0.9),
        reporter=SilentReporter(),
        after_step=lambda model: weights.append(model.fc3.bias.detach().clone()),
    )
    assert torch.allclose(weights[-1], plain.fc3.bias)  # the training itself is the same
    assert not torch.allclose(averaged.fc3.bias, plain.fc3.bias)
    low, high = torch.stack(weights).min(0).values, torch.stack(weights).max(0).values
    start = build(LENET).fc3.bias
    assert bool((averaged.fc3.bias >= torch.minimum(low, start) - 1e-6).all())
    assert bool((averaged.fc3.bias <= torch.maximum(high, start) + 1e-6).all())


def test_early_stopping_waits_for_its_patience_and_brings_back_the_best():
    model = nn.Linear(1, 1, bias=False)
    stopping = EarlyStopping(patience=2)
    over = []
    for epoch, value in enumerate([0.5, 0.7, 0.6, 0.7], start=1):
        nn.init.constant_(model.weight, epoch)
        over.append(stopping.is_over(model, value, epoch))
    assert over == [False, False, False, True]
    assert (stopping.best, stopping.epoch) == (0.7, 2)
    stopping.restore(model)
    assert float(model.weight.detach()) == 2.0


def test_training_stops_early_on_the_validation_images_and_keeps_their_best_weights():
    data = digits()
    data = dataclasses.replace(
        data,
        validation_images=data.train_images[-200:],
        validation_labels=data.train_labels[-200:],
        test_labels=(data.test_labels + 1) % 10,  # whoever looked at these would choose otherwise
    )
    reporter = RecordingReporter()
    model = copy.deepcopy(trained_lenet())
    plan = TrainingPlan(epochs=30, batch_size=64, learning_rate=0.05, patience=2, schedule="constant")
    fit(model, data, plan, reporter=reporter)
    seen = [(x, y) for name, x, y, _ in reporter.points if name == "validation accuracy"]
    best = max(y for _, y in seen)
    first = next(x for x, y in seen if y == best)
    assert len(seen) == first + 2 < 30
    logits = logits_of(model, data.validation_images, data, reporter=SilentReporter())
    assert (logits.argmax(1) == data.validation_labels).mean() == pytest.approx(best, abs=0.006)
    assert any("Stopped early" in text for _, text in reporter.logs)


def test_batch_norm_statistics_become_those_of_the_training_images():
    model, data = _normed(), _few()
    with torch.no_grad():
        model.norm.running_mean.fill_(100.0)
        model.norm.running_var.fill_(1e-3)
    weights = model.conv.weight.detach().clone()
    count = reestimate_batch_norm(model, data, batches=4, batch_size=80, seed=0, reporter=SilentReporter())
    images = (torch.from_numpy(data.train_images).float() / 255 - data.mean[0]).permute(0, 3, 1, 2)
    with torch.no_grad():
        maps = model.conv(images / data.std[0])
    assert count == 1
    assert torch.allclose(model.norm.running_mean, maps.mean((0, 2, 3)), atol=1e-3)
    assert torch.allclose(model.norm.running_var, maps.var((0, 2, 3)), rtol=0.05)
    assert model.norm.momentum == 0.1
    assert not model.norm.training
    assert torch.equal(model.conv.weight, weights)


def test_a_network_without_batch_norm_is_left_as_it_is():
    model = copy.deepcopy(trained_lenet())
    arguments = {"batches": 2, "batch_size": 8, "seed": 0}
    assert reestimate_batch_norm(model, digits(), **arguments, reporter=SilentReporter()) == 0
    assert torch.equal(model.fc3.weight, trained_lenet().fc3.weight)


def test_measuring_statistics_can_be_cancelled_and_puts_the_network_back():
    reporter = RecordingReporter(cancel_when=(0, "started"))
    reporter.step(0, "prune", "started")
    model = _normed()
    with pytest.raises(Cancelled):
        reestimate_batch_norm(model, _few(), batches=2, batch_size=8, seed=0, reporter=reporter)
    assert model.norm.momentum == 0.1
    assert not model.norm.training

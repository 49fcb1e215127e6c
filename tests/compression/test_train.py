import copy

import numpy as np
import pytest
import torch

from slimcast.errors import Cancelled, StepError
from slimcast.models.build import build
from slimcast.reporting import SilentReporter
from slimcast.train.augment import shifted
from slimcast.train.fit import fit, logits_of
from slimcast.train.plan import TrainingPlan
from support_engine import LENET, RecordingReporter, digits, trained_lenet


def _accuracy(model) -> float:
    logits = logits_of(model, digits().test_images, digits(), reporter=SilentReporter())
    return float((logits.argmax(1) == digits().test_labels).mean())


def test_lenet_learns_the_digits():
    assert _accuracy(trained_lenet()) > 0.9


def test_training_tells_its_curves_and_progress():
    reporter = RecordingReporter()
    fit(build(LENET), digits(), TrainingPlan(epochs=1, batch_size=64, step=3), reporter=reporter)
    series = {name for name, _, _, step in reporter.points if step == 3}
    assert series == {"train loss", "train accuracy", "test accuracy"}
    losses = [y for name, _, y, _ in reporter.points if name == "train loss"]
    assert len(losses) > 10
    assert losses[-1] < losses[0]
    assert reporter.fractions == sorted(reporter.fractions)


def test_the_same_seed_gives_the_same_weights():
    plan = TrainingPlan(epochs=0.3, batch_size=64, seed=5)
    models = [build(LENET), build(LENET)]
    for model in models:
        fit(model, digits(), plan, reporter=SilentReporter())
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_diverging_training_fails_with_advice():
    plan = TrainingPlan(epochs=1, learning_rate=1e20, optimizer="sgd")
    with pytest.raises(StepError, match="learning_rate"):
        fit(build(LENET), digits(), plan, reporter=SilentReporter())


def test_training_can_be_cancelled():
    reporter = RecordingReporter(cancel_when=(0, "started"))
    reporter.step(0, "train", "started")
    with pytest.raises(Cancelled):
        fit(build(LENET), digits(), TrainingPlan(epochs=1), reporter=reporter)


def test_a_student_comes_closer_to_its_teacher():
    teacher, student = copy.deepcopy(trained_lenet()), build(LENET, seed=9)
    plan = TrainingPlan(epochs=2, batch_size=32, teacher_weight=1.0, temperature=2.0)
    images = digits().test_images[:100]
    wanted = logits_of(teacher, images, digits(), reporter=SilentReporter())
    before = logits_of(student, images, digits(), reporter=SilentReporter())
    fit(student, digits(), plan, reporter=SilentReporter(), teacher=teacher)
    after = logits_of(student, images, digits(), reporter=SilentReporter())
    agreeing = [(logits.argmax(1) == wanted.argmax(1)).mean() for logits in (before, after)]
    assert agreeing[1] > agreeing[0] + 0.3


def test_shifts_move_the_picture_and_invent_no_pixel():
    images = torch.from_numpy(digits().train_images[:50])
    moved = shifted(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    assert not torch.equal(moved, images)
    assert set(np.unique(moved.numpy())) <= set(np.unique(images.numpy()))


def test_what_is_done_after_each_step_holds_at_the_end():
    steps = []

    def empty_the_first_filter(model):
        steps.append(float(model.conv1.weight.detach()[0].abs().sum()))
        with torch.no_grad():
            model.conv1.weight[0] = 0

    model = build(LENET)
    plan = TrainingPlan(epochs=0.2, batch_size=64, augment=False)
    fit(model, digits(), plan, reporter=SilentReporter(), after_step=empty_the_first_filter)
    assert len(steps) > 3
    assert steps[0] > 0
    assert torch.count_nonzero(model.conv1.weight[0]) == 0
    assert torch.count_nonzero(model.conv1.weight[1:]) > 0

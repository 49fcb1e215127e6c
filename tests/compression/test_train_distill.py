"""Teachers: their logits, where they look, and where they come from."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from slimcast.errors import ModelError, RunNotFound, StepError
from slimcast.models.build import NetworkSpec, build
from slimcast.models.state import save_state
from slimcast.pipeline.job import Job
from slimcast.pipeline.teachers import check_teachers, find_teacher
from slimcast.recipe import parse_recipe
from slimcast.records import Checkpoint, Run, RunState, Variant
from slimcast.reporting import SilentReporter
from slimcast.train.batches import Batch
from slimcast.train.distill import FeatureMaps, Lesson, attention_loss
from slimcast.train.fit import fit, logits_of
from slimcast.train.normalise import Normaliser
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import Precision
from support_engine import LENET, MemoryStore, digits, trained_lenet

FLOAT = Precision(bfloat16=False, channels_last=False)
RECIPE = """
version: 1
name: student
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 1}
  - {kind: finetune, epochs: 1, distill: {teacher: "TEACHER"}}
"""


class Wide(nn.Module):
    """Maps of 16 and 8 pixels with any number of channels, and logits."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * channels, 10)

    def forward(self, x):
        x = self.act(self.first(x))
        return self.head(self.act(self.second(x)).mean((2, 3)))


def _images(count=8):
    return torch.randn(count, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def _batch():
    return Batch(images=_images(), labels=torch.arange(8))


def test_the_last_map_of_each_size_is_compared_after_its_activation():
    model = Wide(4)
    maps = FeatureMaps(model)
    model(_images())
    attention = maps.attention()
    assert sorted(attention) == [(8, 8), (16, 16)]
    assert {size: tuple(value.shape) for size, value in attention.items()} == {
        (8, 8): (8, 64),
        (16, 16): (8, 256),
    }
    wanted = torch.relu(model.first(_images())).square().sum(1).flatten(1)
    torch.testing.assert_close(attention[16, 16], wanted / wanted.norm(dim=1, keepdim=True))
    maps.close()
    model(_images())
    assert maps.attention() == {}


def test_attention_does_not_depend_on_the_number_of_channels():
    narrow, wide = Wide(4), Wide(8)
    with torch.no_grad():  # the same maps, each twice
        wide.first.weight.copy_(narrow.first.weight.repeat(2, 1, 1, 1))
        wide.first.bias.copy_(narrow.first.bias.repeat(2))
    first, second = FeatureMaps(narrow), FeatureMaps(wide)
    with torch.no_grad():
        narrow(_images())
        wide(_images())
    own, wanted = first.attention(), second.attention()
    torch.testing.assert_close(own[16, 16], wanted[16, 16])
    assert float(attention_loss({(16, 16): own[16, 16]}, wanted)) < 1e-5
    assert float(attention_loss({(8, 8): own[8, 8]}, wanted)) > 0.01


def test_the_loss_of_features_reaches_the_students_weights_and_not_the_teacher():
    student, teacher = Wide(4), Wide(6).eval()
    plan = TrainingPlan(epochs=1, feature_weight=10.0)
    with Lesson(student, plan, FLOAT, teacher) as lesson:
        lesson.loss(student(_images()), _batch()).backward()
    with_features = student.first.weight.grad.clone()
    student.zero_grad()
    with Lesson(student, TrainingPlan(epochs=1), FLOAT, teacher) as lesson:
        lesson.loss(student(_images()), _batch()).backward()
    assert not torch.allclose(with_features, student.first.weight.grad)
    assert all(p.grad is None for p in teacher.parameters())
    assert not any(module._forward_hooks for m in (student, teacher) for module in m.modules())


def test_a_student_learns_where_its_teacher_looks():
    torch.manual_seed(0)
    teacher, student = Wide(8).eval(), Wide(4)
    normalised = Normaliser(digits(), torch.device("cpu"))(torch.from_numpy(digits().test_images[:64]))

    def distance(model):
        maps = [FeatureMaps(m) for m in (model, teacher)]
        with torch.no_grad():
            model(normalised), teacher(normalised)
        result = float(attention_loss(*(m.attention() for m in maps)))
        for one in maps:
            one.close()
        return result

    before = distance(student)
    plan = TrainingPlan(epochs=2, batch_size=32, feature_weight=100.0, augment=False)
    fit(student, digits(), plan, reporter=SilentReporter(), teacher=teacher)
    assert distance(student) < 0.7 * before


def test_networks_without_maps_of_one_size_are_refused():
    student, teacher = nn.Sequential(nn.Flatten(), nn.Linear(1024, 10)), Wide(4).eval()
    plan = TrainingPlan(epochs=1, feature_weight=1.0)
    with Lesson(student, plan, FLOAT, teacher) as lesson, pytest.raises(StepError, match="features"):
        lesson.loss(student(_images()), _batch())


def test_the_teacher_is_asked_once_a_batch_and_only_when_it_counts():
    teacher = copy.deepcopy(trained_lenet())
    asked = []
    teacher.register_forward_hook(lambda *_: asked.append(torch.is_inference_mode_enabled()))
    plan = TrainingPlan(epochs=0.2, batch_size=64, teacher_weight=0.5)
    fit(build(LENET), digits(), plan, reporter=SilentReporter(), teacher=teacher)
    assert asked == [True] * 5
    asked.clear()
    alone = dataclasses.replace(plan, teacher_weight=0.0)
    fit(build(LENET), digits(), alone, reporter=SilentReporter(), teacher=teacher)
    assert asked == []


class RunsStore(MemoryStore):
    """A store that holds one more run, ``teacher01``, with its variants."""

    def __init__(self, folder, model, spec, *, data="digits", more="", state=RunState.SUCCEEDED):
        super().__init__(folder)
        text = RECIPE.replace("name: digits", f"name: {data}{more}").replace('"TEACHER"', "baseline")
        parse_recipe(text)
        self._run = Run(
            id="teacher01", name="t", recipe_yaml=text, recipe_hash="", state=state, created_at=0.0
        )
        self._file = self.artifacts.put(save_state(model, spec))

    def run(self, id_or_prefix):
        if not self._run.id.startswith(id_or_prefix):
            raise RunNotFound(f"No run has the id {id_or_prefix}.")
        return self._run

    def checkpoints(self, run_id):
        if run_id != "teacher01":
            return super().checkpoints(run_id)
        return [Checkpoint(run_id=run_id, step=0, file=self._file)]

    def variants(self, run_id):
        if run_id != "teacher01":
            return super().variants(run_id)
        return [
            Variant(run_id=run_id, name=name, step=step, step_kind="", numeric_kind="float32", artifact=None)
            for step, name in enumerate(["0-train", "1-finetune"])
        ]


def _job(store, teacher):
    return Job(
        recipe=parse_recipe(RECIPE.replace("TEACHER", teacher)),
        run_id="r",
        store=store,
        data=digits(),
        network=LENET,
        threads=1,
    )


@pytest.mark.parametrize("name", ["run:teacher01", "run:teach", "run:teacher01/0-train"])
def test_a_teacher_comes_from_another_run(tmp_path, name):
    job = _job(RunsStore(tmp_path, trained_lenet(), LENET), name)
    check_teachers(job)
    teacher = find_teacher(job, 1, name)
    assert torch.equal(teacher.fc3.weight, trained_lenet().fc3.weight)
    assert not teacher.training


def test_a_teacher_sees_images_normalised_as_it_learnt_them(tmp_path):
    store = RunsStore(tmp_path, trained_lenet(), LENET, more=", mean: [0.4], std: [0.2]")
    job = _job(store, "run:teacher01")
    teacher = find_teacher(job, 1, "run:teacher01")
    other = dataclasses.replace(job.data, mean=(0.4,), std=(0.2,))
    images = job.data.test_images[:20]
    found = logits_of(teacher, images, job.data, reporter=SilentReporter())
    wanted = logits_of(trained_lenet(), images, other, reporter=SilentReporter())
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(wanted), atol=1e-3, rtol=1e-3)


def test_a_teacher_that_cannot_teach_is_refused_before_any_work(tmp_path):
    lenet = RunsStore(tmp_path, trained_lenet(), LENET)
    with pytest.raises(ModelError, match="0-train, 1-finetune"):
        check_teachers(_job(lenet, "run:teacher01/9-prune"))
    with pytest.raises(ModelError, match="1-finetune"):  # has no checkpoint
        check_teachers(_job(lenet, "run:teacher01/1-finetune"))
    with pytest.raises(RunNotFound):
        check_teachers(_job(lenet, "run:nobody"))
    with pytest.raises(ModelError, match=r"has learnt mnist.*learns digits"):
        check_teachers(_job(RunsStore(tmp_path, trained_lenet(), LENET, data="mnist"), "run:teacher01"))


def test_a_teacher_of_other_classes_is_refused(tmp_path):
    spec = NetworkSpec(model="lenet5", classes=7, channels=1, image_size=32)
    job = _job(RunsStore(tmp_path, build(spec), spec), "run:teacher01")
    with pytest.raises(ModelError, match=r"7 classes.*10 classes"):
        find_teacher(job, 1, "run:teacher01")

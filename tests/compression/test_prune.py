"""Structured pruning: targets are met, by the right layers, or it is said why not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from slimcast.catalog import MODELS
from slimcast.errors import StepError
from slimcast.measure.cost import Cost, count_macs, count_parameters, macs_cost
from slimcast.models.layers import weighted_layers
from slimcast.prune.groups import find_groups, remove
from slimcast.prune.search import Goal
from support_engine import RecordingReporter
from support_networks import DEEP, LARGE, networks
from support_prune import channels, cut, macs, network, params


def _widths(model):
    return {name: layer.weight.shape[0] for name, layer in weighted_layers(model).items()}


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "resnet20"])
def test_pruning_meets_its_target_and_leaves_the_original(name):
    model, image = network(name)
    before = count_macs(model, image)
    pruned, report = cut(model, image, macs(image, 0.5), round_to=2)
    assert count_macs(model, image) == before == report.macs_before
    assert count_macs(pruned, image) == report.macs
    assert (0.25 if name == "lenet5" else 0.48) < report.macs / before <= 0.5
    assert report.parameters == count_parameters(pruned) < report.parameters_before
    assert pruned(image).shape == (1, 10)


@pytest.mark.parametrize("scope", ["local", "global", "isomorphic"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_every_scope_reaches_every_target(scope, share):
    model, image = network("resnet20")
    _, report = cut(model, image, macs(image, share), scope=scope, round_to=1)
    assert 0.97 * share < report.macs / report.macs_before <= share


def test_budgets_and_other_measures():
    model, image = network("mobilenet_v2")
    assert 0.97 * 130_000 < count_parameters(cut(model, image, params(130_000))[0]) <= 130_000
    model, image = network("resnet20")
    assert cut(model, image, params(0.25))[1].parameters <= 0.25 * count_parameters(model)
    _, report = cut(model, image, channels(0.5))
    assert sum(after for *_, after in report.channels) <= 0.5 * sum(n for _, n, _ in report.channels)
    assert all(after == pytest.approx(0.5 * before, abs=8) for _, before, after in report.channels)
    norms = Cost(name="norms", unit="", of=lambda m: sum(b.numel() for b in m.buffers()))
    assert norms.of(cut(model, image, Goal(cost=norms, value=0.4))[0]) <= 0.4 * norms.of(model)


def test_a_cost_that_shapes_get_wrong_is_counted_on_the_network_itself():
    model, image = network("resnet20")
    half = replace(macs_cost(image), narrowed=lambda _model: lambda narrower: count_parameters(narrower) / 2)
    _, report = cut(model, image, Goal(cost=half, value=0.5))
    assert 0.97 * 0.5 < report.macs / report.macs_before <= 0.5


def test_local_scope_narrows_all_layers_alike_and_global_scope_the_weak_ones_most():
    model, image = network("resnet20")
    with torch.no_grad():
        for layer in (model.layer3[0].conv1, model.layer3[0].bn1):
            layer.weight[:48] *= 0.01
        model.layer3[0].conv2.weight[:, :48] *= 0.01
    local, everywhere = (
        {
            name: after / before
            for name, before, after in cut(model, image, macs(image, 0.6), scope=s)[1].channels
        }
        for s in ("local", "global")
    )
    assert max(local.values()) - min(local.values()) <= 0.5
    assert local["layer3.0.conv1"] > 0.7
    assert everywhere["layer3.0.conv1"] == 0.25
    assert sum(everywhere.values()) / len(everywhere) > 0.7


def test_isomorphic_scope_narrows_each_structure_by_the_same_share():
    model, image = network("resnet20")
    patterns = {group.name: group.pattern for group in find_groups(model, image)}
    assert 1 < len(set(patterns.values())) < len(patterns)
    _, report = cut(model, image, channels(0.5), scope="isomorphic", round_to=1)
    for pattern in set(patterns.values()):
        rows = [row for row in report.channels if patterns[row[0]] == pattern]
        kept = sum(after for *_, after in rows) / sum(before for _, before, _ in rows)
        assert kept == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("round_to", [1, 8, 16])
def test_channels_are_multiples_of_round_to(round_to):
    model, image = network("mobilenet_v2")
    _, report = cut(model, image, macs(image, 0.5), round_to=round_to)
    assert all(after % round_to == 0 for _, before, after in report.channels if after < before)


def test_per_layer_ratios_are_kept_to_and_spared_by_the_target():
    model, image = network("resnet20")
    ratios = {"layer1.0.conv1": 0.75, "layer3.*.conv1": 0.25}
    pruned, _ = cut(model, image, None, ratios=ratios, round_to=4)
    before, after = _widths(model), _widths(pruned)
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert changed == {"layer1.0.conv1": 4} | {f"layer3.{i}.conv1": 48 for i in range(3)}
    pruned, report = cut(model, image, macs(image, 0.5), ratios=ratios, round_to=4)
    assert report.macs <= 0.5 * report.macs_before
    assert [_widths(pruned)[name] for name in changed] == list(changed.values())


def test_ratios_that_cannot_be_kept_to_are_clamped_and_said():
    model, image = network("resnet20")
    reporter = RecordingReporter()
    pruned, _ = cut(model, image, None, ratios={"layer1.0.conv1": 0.99}, reporter=reporter)
    assert pruned.layer1[0].conv1.out_channels == 8
    [(level, text)] = [log for log in reporter.logs if "layer1.0.conv1" in log[1]]
    assert level == "warning"
    assert "8 remain" in text


def test_kept_layers_stay_with_all_that_hangs_on_them():
    model, image = network("resnet20")
    pruned, _ = cut(model, image, macs(image, 0.9), keep=("layer2.1.conv2", "*conv1"), round_to=2)
    before, after = _widths(model), _widths(pruned)
    assert [name for name in after if after[name] != before[name]]
    for name in after:
        if name.endswith("conv1") or name.startswith("layer2"):
            assert after[name] == before[name], name


def test_max_ratio_limits_every_layer():
    model, image = network("vgg16")
    _, report = cut(model, image, macs(image, 0.3), scope="global", max_ratio=0.6)
    assert min(after / before for _, before, after in report.channels) >= 0.4


@pytest.mark.parametrize("schedule", ["geometric", "linear", "cubic"])
def test_rounds_follow_the_schedule_with_training_between(schedule):
    model, image = network("resnet20")
    before, seen = count_macs(model, image), []
    _, report = cut(
        model,
        image,
        macs(image, 0.3),
        rounds=3,
        schedule=schedule,
        round_to=1,
        after_round=lambda one, index: seen.append((index, count_macs(one, image) / before)),
    )
    wanted = {"geometric": [0.669, 0.448], "linear": [0.767, 0.533], "cubic": [0.507, 0.326]}[schedule]
    assert [index for index, _ in seen] == [0, 1]
    assert [share for _, share in seen] == pytest.approx(wanted, rel=0.03)
    assert report.macs / report.macs_before == pytest.approx(0.3, rel=0.03)


def test_ratios_and_floors_count_from_the_first_round_on():
    model, image = network("resnet20")
    pruned, _ = cut(model, image, None, ratios={"layer3.0.conv1": 0.5}, rounds=4, round_to=1)
    assert pruned.layer3[0].conv1.out_channels == 32
    pruned, report = cut(model, image, macs(image, 0.35), rounds=3, max_ratio=0.5, round_to=2, scope="global")
    assert min(after / before for _, before, after in report.channels) == 0.5


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"goal": 0.01}, "least that can be reached is .* of .* round_to"),
        ({"goal": 0.5, "keep": ("*",)}, "least that can be reached"),
        ({"goal": 0.5, "keep": ("layer9.*",)}, r"keep: 'layer9\.\*' fits no layer.*conv1, layer1"),
        ({"goal": 0.5, "ratios": {"fc": 0.5}}, "ratios: 'fc' fits no layer"),
        ({"goal": 1e12}, "within the target"),
        ({"goal": None, "ratios": {"layer1.0.conv1": 0.01}}, "cut nothing.*round_to"),
        ({"goal": 0.5, "round_to": 64}, "round_to"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_says_why(plan, message):
    model, image = network("resnet20")
    goal = plan.pop("goal")
    with pytest.raises(StepError, match=message):
        cut(model, image, goal and macs(image, goal), **plan)


class _Chunks(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.left = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(16, 10)

    def forward(self, x):
        a, b = torch.relu(self.first(x)).chunk(2, 1)
        return self.last(torch.cat([self.left(a), b], 1).mean((2, 3)))


class _Swapped(nn.Module):
    """The channels are read in another order than they are made in: Torch-Pruning does not notice."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)
        self.last = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.first(x)).flip(1)
        return self.last(self.second(x).mean((2, 3)))


def test_a_network_that_torch_pruning_gets_wrong_is_refused_by_the_name_of_the_layer():
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 16, 16)
    with pytest.raises(StepError, match=r"'first' wrong: outputs differ.*keep"):
        cut(_Swapped(), image, macs(image, 0.5), round_to=1)
    _, report = cut(_Swapped(), image, macs(image, 0.7), round_to=1, keep=("first",))
    assert report.macs <= 0.7 * report.macs_before


def test_frozen_weights_can_be_pruned_and_stay_frozen():
    model, image = network("resnet20")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("linear"))
    pruned, report = cut(model, image, macs(image, 0.5))
    assert report.macs <= 0.5 * report.macs_before
    assert all(p.requires_grad == n.startswith("linear") for n, p in pruned.named_parameters())
    assert all(p.requires_grad == n.startswith("linear") for n, p in model.named_parameters())


@pytest.mark.parametrize("name", networks(*LARGE, *DEEP))
def test_removing_channels_that_nobody_reads_changes_nothing(name):
    """The reference is independent of `prune.verify`: the readers' weights themselves are zero."""
    model, _ = network(name)
    side = MODELS[name].smallest
    image = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    groups = find_groups(model, image[:1])
    modules = dict(model.named_modules())
    removed = {
        g.name: [i for i in range(g.channels) if i % (g.channels // g.repeats) % 3 == 1] for g in groups
    }
    with torch.no_grad():
        for group in groups:
            gone = torch.isin(torch.arange(group.channels), torch.tensor(removed[group.name]))
            for part in group.parts:
                if part.kind == "in" and getattr(modules[part.layer], "groups", 1) == 1:
                    modules[part.layer].weight[:, part.indices[gone[part.roots]]] = 0
        wanted = model(image)
        pruned = remove(model, groups, removed)
        assert count_parameters(pruned) < 0.8 * count_parameters(model)
        torch.testing.assert_close(pruned(image), wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_what_is_left_shares_no_tensor_with_the_whole_network():
    model, image = network("resnet20")
    groups = find_groups(model, image)
    pruned = remove(model, groups, {groups[1].name: [0, 1]})
    own = {tensor.data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    left = [*pruned.parameters(), *pruned.buffers()]
    assert not own & {tensor.data_ptr() for tensor in left}
    assert sum(tensor.numel() for tensor in left) < sum(
        t.numel() for t in [*model.parameters(), *model.buffers()]
    )

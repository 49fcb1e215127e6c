"""Each criterion lets the channels go that it should, and computes what its paper says."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.catalog import CRITERIA
from slimcast.errors import StepError
from slimcast.prune.evidence import Evidence, Samples
from slimcast.prune.groups import find_groups
from support_engine import RecordingReporter
from support_prune import cut, macs, network, samples

WEAK = [2, 5]
IMAGE = torch.zeros(1, 3, 12, 12)


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.last = nn.Linear(6, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.last(x.mean((2, 3)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return _Net().eval()


@torch.no_grad()
def _weaken(net, criterion):
    """Make two channels the ones that this criterion is about, and no other."""
    if criterion in {"l1", "l2", "lamp"}:
        for weight in (net.conv1.weight, net.bn1.weight):
            weight[WEAK] *= 0.01
        net.conv2.weight[:, WEAK] *= 0.01
    elif criterion == "bn_scale":
        net.bn1.weight[WEAK] = -0.01
        net.conv1.weight[WEAK] *= 100
    elif criterion in {"taylor", "hessian"}:
        net.conv1.weight[WEAK] *= 100  # strong, but nobody listens
        net.conv2.weight[:, WEAK] = 0
    elif criterion == "fpgm":
        others = [i for i in range(8) if i not in WEAK]
        net.conv1.weight[WEAK] = net.conv1.weight[others].mean(0)
    elif criterion == "apoz":
        net.bn1.bias[WEAK] = -100.0
        net.conv1.weight[WEAK] *= 10
    else:
        assert criterion == "hrank"
        net.bn1.weight[WEAK], net.bn1.bias[WEAK] = 0.0, 5.0


def _scores(net, criterion, given=None, seed=0):
    groups = find_groups(net, IMAGE)
    evidence = Evidence(model=net, samples=given, seed=seed)
    return CRITERIA[criterion].load()(groups, evidence)


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("criterion", [name for name in CRITERIA.names() if name != "random"])
def test_the_channels_that_a_criterion_is_about_go_first(net, criterion, scope):
    _weaken(net, criterion)
    given = None if CRITERIA[criterion].needs == "nothing" else samples(IMAGE)
    score = _scores(net, criterion, given)["conv1"]
    assert sorted(score.argsort()[:2].tolist()) == WEAK
    pruned, _ = cut(
        net, IMAGE, None, ratios={"conv1": 0.25}, criterion=criterion, scope=scope, round_to=1, given=given
    )
    kept = [i for i in range(8) if i not in WEAK]
    torch.testing.assert_close(pruned.conv1.weight, net.conv1.weight[kept])
    torch.testing.assert_close(pruned.conv2.weight, net.conv2.weight[:, kept])
    torch.testing.assert_close(pruned.bn1.running_var, net.bn1.running_var[kept])


def test_random_is_chance_that_can_be_repeated(net):
    first, again, other = (_scores(net, "random", seed=seed)["conv1"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("criterion", "power"), [("l1", 1), ("l2", 2)])
def test_norms_are_averaged_over_the_layers_of_a_group(net, criterion, power):
    parts = [
        net.conv1.weight.abs().pow(power).sum((1, 2, 3)),
        net.bn1.weight.abs().pow(power),
        net.conv2.weight.abs().pow(power).sum((0, 2, 3)),
    ]
    wanted = sum(parts) / 3
    torch.testing.assert_close(_scores(net, criterion)["conv1"], (wanted / wanted.mean()).detach())


def test_lamp_is_the_share_of_what_is_at_least_as_strong(net):
    norms = _scores(net, "l2")["conv1"]
    wanted = torch.stack([one / norms[norms >= one].sum() for one in norms])
    torch.testing.assert_close(_scores(net, "lamp")["conv1"], wanted)


def test_fpgm_is_the_distance_to_all_other_filters_whatever_their_sign(net):
    filters = net.conv1.weight.detach().flatten(1)
    wanted = torch.tensor([sum(float((a - b).norm()) for b in filters) for a in filters])
    torch.testing.assert_close(_scores(net, "fpgm")["conv1"], wanted / wanted.mean())


def _by_hand(net, of_weight):
    """Average over conv1's rows, bn1's scales and conv2's columns of what is given for each weight."""
    rows = of_weight["conv1.weight"].sum((1, 2, 3))
    score = (rows + of_weight["bn1.weight"] + of_weight["conv2.weight"].sum((0, 2, 3))) / 3
    return score / score.mean()


def test_hessian_is_the_mean_of_squared_gradients_of_single_images(net):
    given = samples(IMAGE, count=7)
    weights = dict(net.named_parameters())
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for image, label in zip(given.images, given.labels, strict=True):
        net.zero_grad()
        F.cross_entropy(net(image[None]), label[None]).backward()
        for name, weight in weights.items():
            total[name] += weight.grad**2
    wanted = _by_hand(net, {name: (w.detach() ** 2) * total[name] / 14 for name, w in weights.items()})
    score = _scores(net, "hessian", given)["conv1"]
    torch.testing.assert_close(score, wanted, rtol=1e-4, atol=1e-6)
    last = Samples(images=given.images[-1:], labels=given.labels[-1:])
    assert not torch.allclose(_scores(net, "hessian", last)["conv1"], score, rtol=0.05)


def test_taylor_is_weight_times_the_gradient_over_all_images(net):
    given = samples(IMAGE, count=130)  # more than one batch
    net.zero_grad()
    F.cross_entropy(net(given.images), given.labels).backward()
    wanted = _by_hand(net, {name: (w * w.grad).abs().detach() for name, w in net.named_parameters()})
    torch.testing.assert_close(_scores(net, "taylor", given)["conv1"], wanted, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_apoz_counts_zeros_behind_the_activation(net):
    given = samples(IMAGE, count=40)
    maps = torch.relu(net.bn1(net.conv1(given.images))).numpy()
    wanted = [1 - np.mean(maps[:, channel] == 0) for channel in range(8)]
    np.testing.assert_allclose(_scores(net, "apoz", given)["conv1"], wanted, atol=1e-6)


@torch.no_grad()
def test_hrank_averages_the_ranks_of_the_maps(net):
    given = samples(IMAGE, count=5)
    net.conv2.weight[3], net.conv2.bias[3] = 0, 1  # a flat map: rank 1
    maps = torch.relu(net.bn1(net.conv1(given.images))).numpy()
    wanted = np.array([np.mean([np.linalg.matrix_rank(one[c]) for one in maps]) for c in range(8)])
    np.testing.assert_allclose(_scores(net, "hrank", given)["conv1"], wanted / wanted.mean(), rtol=1e-5)
    # conv2's maps are read behind global pooling: they are taken as its norm makes them.
    assert _scores(net, "hrank", given)["conv2"].argmin() == 3


def test_hrank_sees_a_map_before_it_is_flattened():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 8), nn.Linear(8, 10))
    with torch.no_grad():
        net[0].weight[1], net[0].bias[1] = 0, 1
    reporter = RecordingReporter()
    pruned, _ = cut(
        net,
        IMAGE,
        None,
        ratios={"0": 0.25},
        criterion="hrank",
        round_to=1,
        given=samples(IMAGE, count=4),
        reporter=reporter,
    )
    torch.testing.assert_close(pruned[0].weight, net[0].weight[[0, 2, 3]])
    torch.testing.assert_close(pruned[3].weight, net[3].weight.view(8, 4, 100)[:, [0, 2, 3]].flatten(1))
    assert [text for level, text in reporter.logs if level == "warning"] == [
        "The criterion hrank cannot rank 1 groups of layers, which stay as they are: 3"
    ]


def test_columns_of_grouped_convolutions_are_those_of_their_block():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4), nn.Flatten(), nn.Linear(768, 10))
    first = net[0].weight.abs().sum((1, 2, 3))
    blocks = net[1].weight.view(4, 3, 2, 3, 3).abs().sum((1, 3, 4)).flatten()
    wanted = (first + blocks) / 2
    score = _scores(net, "l1")["0"]
    torch.testing.assert_close(score, (wanted / wanted.mean()).detach())
    pruned, _ = cut(net, IMAGE, None, ratios={"0": 0.5}, round_to=1)
    assert (pruned[1].groups, pruned[1].in_channels, pruned[1].weight.shape[1]) == (4, 4, 1)


def test_a_layer_that_is_fixed_by_design_says_nothing():
    model, image = network("resnet20")
    before = CRITERIA["l2"].load()(find_groups(model, image), Evidence(model=model))
    with torch.no_grad():
        model.layer2[0].shortcut.weight *= 100
    after = CRITERIA["l2"].load()(find_groups(model, image), Evidence(model=model))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("criterion", "activation", "message"),
    [
        ("bn_scale", nn.ReLU, "this network has none. Choose another"),
        ("apoz", nn.SiLU, "lacks ReLU"),
        ("taylor", nn.ReLU, "there are none"),
    ],
)
def test_a_criterion_that_does_not_apply_says_so(criterion, activation, message):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), activation(), nn.Flatten(), nn.Linear(800, 10))
    given = None if criterion == "taylor" else samples(IMAGE)
    with pytest.raises(StepError, match=message):
        cut(net, IMAGE, macs(IMAGE, 0.5), criterion=criterion, given=given)


def test_weights_that_are_no_numbers_are_refused(net):
    with torch.no_grad():
        net.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(StepError, match="not finite"):
        cut(net, IMAGE, macs(IMAGE, 0.5), round_to=1)

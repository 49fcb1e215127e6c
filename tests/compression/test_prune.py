import pytest
import torch

from slimcast.catalog import CRITERIA, MODELS
from slimcast.errors import StepError
from slimcast.measure.cost import count_macs
from slimcast.models.build import NetworkSpec, build
from slimcast.prune.structured import prune
from slimcast.reporting import SilentReporter


def _network(name: str):
    side = MODELS[name].image_size
    spec = NetworkSpec(model=name, classes=10, channels=1, image_size=side)
    return build(spec), torch.zeros(1, 1, side, side)


@pytest.mark.parametrize("criterion", CRITERIA.names())
@pytest.mark.parametrize("name", MODELS.names())
def test_pruning_meets_its_target_and_leaves_the_original(name, criterion):
    model, image = _network(name)
    before = count_macs(model, image)
    pruned, report = prune(
        model, image, criterion=criterion, macs=0.5, rounds=1, round_to=2, reporter=SilentReporter()
    )
    assert count_macs(model, image) == before == report.macs_before
    assert count_macs(pruned, image) == report.macs
    assert 0.3 < report.macs / before <= 0.525
    assert report.parameters < report.parameters_before
    assert pruned(image).shape == (1, 10)


def test_channels_are_multiples_of_round_to():
    model, image = _network("mobilenet_v2")
    pruned, _ = prune(model, image, criterion="l2", macs=0.5, rounds=1, round_to=8, reporter=SilentReporter())
    widths = [m.out_channels for m in pruned.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(width % 8 == 0 for width in widths)


def test_training_happens_between_rounds_only():
    model, image = _network("lenet5")
    rounds = []
    _, report = prune(
        model,
        image,
        criterion="l2",
        macs=0.4,
        rounds=3,
        round_to=1,
        reporter=SilentReporter(),
        after_round=lambda network, index: rounds.append((index, count_macs(network, image))),
    )
    assert [index for index, _ in rounds] == [0, 1]
    assert report.macs_before > rounds[0][1] > rounds[1][1] > report.macs


def test_pruning_that_can_cut_nothing_is_an_error():
    model, image = _network("lenet5")
    with pytest.raises(StepError, match="round_to"):
        prune(model, image, criterion="l2", macs=0.1, rounds=1, round_to=64, reporter=SilentReporter())

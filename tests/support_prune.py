"""What the tests of pruning share."""

import torch
from torch import nn

from slimcast.catalog import MODELS
from slimcast.measure.cost import PARAMS, macs_cost
from slimcast.models.build import NetworkSpec
from slimcast.prune.evidence import Samples
from slimcast.prune.plan import PrunePlan
from slimcast.prune.search import Goal
from slimcast.prune.structured import prune
from slimcast.reporting import SilentReporter
from support_networks import light


def spec_of(name):
    return NetworkSpec(model=name, classes=10, channels=3, image_size=MODELS[name].smallest)


def network(name):
    """Return a light network with random weights and batch norms that do something, and an image."""
    spec = spec_of(name)
    model = light(spec)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return model, torch.zeros(1, 3, spec.image_size, spec.image_size)


def macs(example, value):
    return Goal(cost=macs_cost(example), value=value)


def params(value):
    return Goal(cost=PARAMS, value=value)


def channels(value):
    return Goal(cost=None, value=value)


def samples(example, count=16, classes=10):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((count, *example.shape[1:]), generator=generator)
    return Samples(images=images, labels=torch.randint(0, classes, (count,), generator=generator))


def cut(model, example, goal, *, given=None, reporter=None, after_round=None, **plan):
    return prune(
        model,
        example,
        PrunePlan(goal=goal, **plan),
        reporter=reporter or SilentReporter(),
        samples=given,
        after_round=after_round,
    )

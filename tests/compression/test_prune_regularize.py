"""Penalties pull on the channels that they should, and training with them makes these channels weak."""

import pytest
import torch
from torch import nn

from slimcast.errors import StepError
from slimcast.prune.groups import find_groups
from slimcast.prune.regularize import regularizer
from support_prune import network


def _without_gradients(model):
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model


def _pull(model, name):
    """Return the force on each channel of a batch norm, which belongs to one group only."""
    norm = dict(model.named_modules())[name]
    return (norm.weight.grad / norm.weight).detach()


def test_group_norm_pulls_the_weakest_channel_sixteen_times_as_hard_as_the_strongest():
    model, image = network("resnet20")
    with torch.no_grad():
        for weight in (model.layer1[0].conv1.weight, model.layer1[0].bn1.weight):
            weight[3] *= 0.1
            weight[7] *= 10
        model.layer1[0].conv2.weight[:, 3] *= 0.1
        model.layer1[0].conv2.weight[:, 7] *= 10
    regularizer("group_norm", _without_gradients(model), image, weight=0.01)(model)
    force = _pull(model, "layer1.0.bn1")
    assert force.argmax() == 3
    assert force.argmin() == 7
    assert force[3] == pytest.approx(0.16, rel=1e-3)
    assert force[7] == pytest.approx(0.01, rel=1e-3)
    # All that hangs together is pulled alike; a convolution's columns belong to the group before it, besides.
    block = model.layer1[0]
    before = _pull(model, "bn1")
    for conv, rows, columns in ((block.conv1, force, before), (block.conv2, before, force)):
        wanted = conv.weight * (rows[:, None, None, None] + columns[None, :, None, None])
        torch.testing.assert_close(conv.weight.grad, wanted.detach())
    assert not model.linear.bias.grad.any()
    assert float(model.linear.weight.grad.abs().max()) > 0


def test_growing_force_rises_at_every_tenth_call_on_weak_channels_only():
    model, image = network("mobilenet_v2")
    penalty = regularizer("growing", model, image, weight=0.01)
    forces = []
    for _ in range(21):
        penalty(_without_gradients(model))
        forces.append(_pull(model, "features.3.conv.0.1"))
    assert torch.equal(forces[0], forces[9])
    torch.testing.assert_close(forces[10], 2 * forces[0])
    torch.testing.assert_close(forces[20], 3 * forces[0])
    assert float(forces[20].min()) == pytest.approx(0, abs=1e-9)
    assert float(forces[20].max()) == pytest.approx(0.03, rel=1e-3)


def test_bn_scale_is_l1_on_the_scales_of_norms_that_may_be_pruned():
    model, image = network("resnet20")
    penalty = regularizer("bn_scale", _without_gradients(model), image, keep=("layer1.0.conv1",), weight=0.5)
    with torch.no_grad():
        model.layer2[0].bn1.weight[0] = -1
    penalty(model)
    assert torch.equal(model.layer2[0].bn1.weight.grad, 0.5 * torch.sign(model.layer2[0].bn1.weight))
    assert not model.layer1[0].bn1.weight.grad.any()
    assert not model.layer2[0].conv1.weight.grad.any()


@pytest.mark.parametrize("kind", ["group_norm", "growing", "bn_scale"])
def test_steps_along_the_penalty_spread_the_channels(kind):
    model, image = network("resnet20")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    penalty = regularizer(kind, model, image, weight=0.02)
    scales = [m.weight for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [scale.detach().clone() for scale in scales]
    for _ in range(30):
        penalty(_without_gradients(model))
        optimizer.step()
    assert all(bool((now.abs() <= old.abs() + 1e-6).all()) for now, old in zip(scales, before, strict=True))
    assert any(float((now / old).detach().min()) < 0.95 for now, old in zip(scales, before, strict=True))


def test_channels_that_are_all_alike_get_a_finite_force():
    model, image = network("resnet20")
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    regularizer("group_norm", _without_gradients(model), image)(model)
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters())


def test_what_cannot_be_pulled_is_an_error():
    image = torch.zeros(1, 3, 12, 12)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(800, 10))
    with pytest.raises(StepError, match=r"batch norms.*group_norm"):
        regularizer("bn_scale", plain, image)
    assert len(find_groups(plain, image)) == 1
    with pytest.raises(StepError, match="nothing to regularize"):
        regularizer("growing", plain, image, keep=("0",))

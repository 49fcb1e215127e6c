import json

import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from slimcast.errors import ModelError
from slimcast.models.build import NetworkSpec, build, load_weights
from slimcast.models.factors import Factors, factorized
from slimcast.models.resnet_cifar import PaddingShortcut
from slimcast.models.state import load_state, save_state
from support_networks import LARGE, networks, spec_of
from support_prune import cut, macs


def _spec(name: str, channels: int = 1) -> NetworkSpec:
    return spec_of(name, channels=channels)


@pytest.mark.parametrize("name", networks(*LARGE, without=("vgg16_imagenet", "vgg16_bn_imagenet")))
def test_the_seed_decides_the_weights(name):
    first, same, other = (build(_spec(name), seed=seed).state_dict() for seed in (1, 1, 2))
    weight = next(key for key, value in first.items() if value.ndim > 1)
    assert torch.equal(first[weight], same[weight])
    assert not torch.equal(first[weight], other[weight])


# Every network of the catalog is pruned, saved and loaded in test_prune_matrix.py.
@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mobilenet_v2"])
def test_a_pruned_network_for_grey_images_survives_saving_and_loading(name, tmp_path):
    spec = _spec(name)
    image = torch.rand(2, 1, spec.image_size, spec.image_size)
    pruned, _ = cut(build(spec), image[:1], macs(image[:1], 0.5), round_to=2)
    path = tmp_path / "pruned.safetensors"
    path.write_bytes(save_state(pruned, spec))
    loaded, loaded_spec = load_state(path)
    assert loaded_spec == spec
    with torch.no_grad():
        assert torch.equal(loaded(image), pruned(image))


@pytest.mark.parametrize("name", ["vgg16_bn", "mobilenet_v3_small", "densenet40"])
def test_a_network_without_weights_is_the_same_but_for_what_is_loaded_into_it(name):
    whole, empty = build(_spec(name)), build(_spec(name), empty=True)
    assert {k: v.shape for k, v in empty.state_dict().items()} == {
        k: v.shape for k, v in whole.state_dict().items()
    }
    empty.load_state_dict(whole.state_dict())
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(empty(image), whole(image))


def test_lenet5_has_the_parameters_of_its_paper():
    model = build(NetworkSpec(model="lenet5", classes=10, channels=1, image_size=32))
    assert sum(p.numel() for p in model.parameters()) == 61_706


def test_too_small_images_are_refused_with_the_size_that_works():
    with pytest.raises(ModelError, match="32"):
        build(NetworkSpec(model="lenet5", classes=10, channels=1, image_size=16))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(save_state(build(_spec("lenet5")), _spec("lenet5"))[:5000])
    with pytest.raises(ModelError, match="damaged"):
        load_state(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(save_state(build(_spec("lenet5", 3)), _spec("lenet5", 3)))
    with pytest.raises(ModelError, match=r"conv1\.weight"):
        load_weights(build(_spec("lenet5", 1)), path)
    with pytest.raises(ModelError, match="Cannot read"):
        load_weights(build(_spec("lenet5", 1)), tmp_path / "missing.safetensors")


def test_factors_in_the_place_of_layers_survive_saving_and_loading(tmp_path):
    spec = _spec("lenet5")
    model = build(spec)
    core = nn.Conv2d(4, 5, 5, stride=1, padding=(0, 0), groups=1, bias=False)
    model.conv2 = Factors(nn.Conv2d(6, 4, 1, bias=False), core, nn.Conv2d(5, 16, 1))
    model.fc1 = Factors(nn.Linear(400, 7, bias=False), nn.Linear(7, 120))
    path = tmp_path / "factors.safetensors"
    path.write_bytes(save_state(model.eval(), spec))
    loaded, _ = load_state(path)
    image = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))
    assert list(factorized(loaded)) == ["conv2", "fc1"]


@pytest.mark.parametrize(
    ("name", "description"),
    [("nosuch", [{"kind": "linear", "in_features": 1, "out_features": 1, "bias": True}]),
     ("fc1", [{"kind": "lambda"}]), ("fc1", [{"kind": "linear", "evil": 1}])],
)  # fmt: skip
def test_factors_that_cannot_be_are_refused(name, description, tmp_path):
    spec = _spec("lenet5")
    structure = {"network": spec.to_dict(), "groups": {}, "factors": {name: description}}
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(save(build(spec).state_dict(), metadata={"slimcast": json.dumps(structure)}))
    with pytest.raises(ModelError, match="factors"):
        load_state(path)


def test_option_a_copies_every_other_pixel_and_pads_with_zeros():
    images = torch.rand(2, 16, 9, 9)
    shortcut = PaddingShortcut(16, 32, stride=2)
    wanted = torch.nn.functional.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
    assert torch.equal(shortcut(images), wanted)


def test_option_a_stays_untrained_through_pruning_saving_and_loading(tmp_path):
    spec = _spec("resnet20", 3)
    image = torch.rand(2, 3, 32, 32)
    pruned, _ = cut(build(spec), image[:1], macs(image[:1], 0.4), rounds=2, round_to=2)
    path = tmp_path / "pruned.safetensors"
    path.write_bytes(save_state(pruned, spec))
    for model in (pruned, load_state(path)[0]):
        shortcuts = [m for m in model.modules() if isinstance(m, PaddingShortcut)]
        assert len(shortcuts) == 2
        for shortcut in shortcuts:
            assert shortcut.out_channels < 64
            assert not shortcut.weight.requires_grad
            assert set(shortcut.weight.unique().tolist()) == {0.0, 1.0}
            assert int(shortcut.weight.sum(1).max()) == 1  # each output copies one input at most


def test_weights_without_the_fixed_ones_of_option_a_load(tmp_path):
    model = build(_spec("resnet20", 3), seed=5)
    path = tmp_path / "published.safetensors"
    save_file({k: v for k, v in model.state_dict().items() if "shortcut" not in k}, path)
    other = build(_spec("resnet20", 3), seed=6)
    load_weights(other, path)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())

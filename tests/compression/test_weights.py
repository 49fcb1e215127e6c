"""What a network begins with: files, ImageNet, other runs; nothing of it is ever unpickled."""

import dataclasses
import importlib.util
import io
import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save, save_file

from slimcast.errors import ModelError, RecipeError
from slimcast.models.build import NetworkSpec, build
from slimcast.models.head import final_classifier, frozen_backbone, head_of, with_classes
from slimcast.models.state import save_state
from slimcast.models.upload import add_weights, read_header, uploaded_weights
from slimcast.models.weights import find_file, load_imagenet, load_pretrained
from slimcast.pipeline.beginning import first_network
from slimcast.recipe import parse_recipe
from slimcast.recipe.trust import code_problems
from slimcast.records import Checkpoint
from support_engine import LENET, MemoryStore

ROOT = Path(__file__).resolve().parents[2]
RESNET18 = NetworkSpec(model="resnet18", classes=3, channels=3, image_size=32)


class _Log(list):
    def __call__(self, text):
        self.append(text)


def _equal(first, second, names=None):
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in names or one)


class TestFile:
    def test_another_number_of_classes_gets_a_fresh_head_and_the_log_says_so(self, tmp_path):
        given = build(NetworkSpec(model="mobilenet_v3_small", classes=9, channels=3, image_size=32), seed=1)
        save_file(given.state_dict(), tmp_path / "w.safetensors")
        model = build(NetworkSpec(model="mobilenet_v3_small", classes=4, channels=3, image_size=32), seed=2)
        before, log = model.classifier[3].weight.clone(), _Log()
        load_pretrained(model, tmp_path / "w.safetensors", log)
        assert torch.equal(model.classifier[3].weight, before)
        assert torch.equal(model.classifier[0].weight, given.classifier[0].weight)
        assert _equal(model.features, given.features)
        assert "the head is for other classes, so it starts anew (classifier.3.bias" in log[0]

    def test_weights_for_coloured_images_answer_the_same_on_grey_ones(self, tmp_path):
        spec = NetworkSpec(model="resnet20", classes=5, channels=3, image_size=32)
        given = build(spec, seed=1)
        save_file(given.state_dict(), tmp_path / "w.safetensors")
        grey, log = build(dataclasses.replace(spec, channels=1), seed=2), _Log()
        load_pretrained(grey, tmp_path / "w.safetensors", log)
        images = torch.rand(2, 1, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(grey(images), given(images.expand(-1, 3, -1, -1)))
        assert "summed up for grey ones" in log[0]

    def test_another_network_is_refused_with_the_first_difference(self, tmp_path):
        save_file(build(LENET).state_dict(), tmp_path / "lenet.safetensors")
        with pytest.raises(ModelError, match=r"lacks 'bn1\.weight'|shape"):
            load_pretrained(build(RESNET18), tmp_path / "lenet.safetensors", _Log())
        wider = {k: v if k != "fc1.weight" else v[:60] for k, v in build(LENET).state_dict().items()}
        save_file({k: v.contiguous() for k, v in wider.items()}, tmp_path / "other.safetensors")
        with pytest.raises(ModelError, match=r"'fc1\.weight' has shape \(60, 400\), expected \(120, 400\)"):
            load_pretrained(build(LENET), tmp_path / "other.safetensors", _Log())

    def test_it_is_looked_for_where_the_recipe_says_in_the_working_directory_and_below_the_root(
        self, tmp_path, monkeypatch
    ):
        here, root = tmp_path / "here", tmp_path / "root"
        for folder, names in ((here, ("a", "b")), (root, ("b", "c"))):
            folder.mkdir()
            for name in names:
                (folder / f"{name}.safetensors").touch()
        monkeypatch.chdir(here)
        assert find_file(str(root / "c.safetensors"), here) == root / "c.safetensors"
        assert find_file("b.safetensors", root).resolve() == here / "b.safetensors"
        assert find_file("c.safetensors", root) == root / "c.safetensors"
        with pytest.raises(ModelError, match="There are no weights"):
            find_file("d.safetensors", root)

    @pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.th", "w.bin", "W.PTH"])
    def test_pickles_are_refused_in_the_recipe_and_at_run_time(self, name, tmp_path):
        (tmp_path / name).write_bytes(b"never read")
        with pytest.raises(ModelError, match="can hold code"):
            find_file(str(tmp_path / name), tmp_path)
        with pytest.raises(RecipeError, match="can hold code"):
            parse_recipe(_recipe(weights=name))


def _recipe(**model):
    document = {"name": "lenet5"} | model
    return json.dumps(
        {
            "name": "r",
            "model": document,
            "data": {"name": "digits"},
            "steps": [{"kind": "train", "epochs": 1}],
        }
    )


class TestImageNet:
    def test_a_file_of_the_catalog_s_name_comes_first(self, tmp_path):
        given = build(dataclasses.replace(RESNET18, classes=1000), seed=1)
        save_file(given.state_dict(), tmp_path / "resnet18.safetensors")
        model = load_imagenet(build(RESNET18, seed=2), RESNET18, tmp_path, _Log())
        assert _equal(model, given, [n for n in given.state_dict() if not n.startswith("fc.")])

    def test_torchvision_s_own_file_is_read_as_tensors_only(self, tmp_path):
        spec = NetworkSpec(model="densenet121", classes=3, channels=1, image_size=32)
        given = build(dataclasses.replace(spec, classes=1000, channels=3), seed=1)
        # The names in torchvision's download are those of an older version.
        old = {
            k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v
            for k, v in given.state_dict().items()
        }
        torch.save(old, tmp_path / "densenet121-a639ec97.pth")
        model = load_imagenet(build(spec, seed=2), spec, tmp_path, _Log())
        layer = "features.denseblock1.denselayer1"
        assert torch.equal(model.get_submodule(layer).conv2.weight, given.get_submodule(layer).conv2.weight)

    def test_a_file_that_would_run_code_is_refused(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        (tmp_path / "resnet18-f37072fd.pth").write_bytes(pickle.dumps({"conv1.weight": Trap()}))
        with pytest.raises(ModelError, match="Cannot get the ImageNet weights of ResNet-18"):
            load_imagenet(build(RESNET18), RESNET18, tmp_path, _Log())
        assert not (tmp_path / "ran").exists()

    def test_without_a_network_it_says_where_to_put_the_file(self, tmp_path, monkeypatch):
        def fail(*args, **kwargs):
            assert kwargs["weights_only"]
            raise URLError("no network")

        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
        with pytest.raises(ModelError, match=r"no network.*under their own name or as resnet18\.safetensors"):
            load_imagenet(build(RESNET18), RESNET18, tmp_path, _Log())

    def test_a_network_without_such_weights_is_found_before_anything_runs(self):
        with pytest.raises(RecipeError) as caught:
            parse_recipe(_recipe(weights="imagenet"))
        assert caught.value.problems == [("model.weights", "there are no ImageNet weights for LeNet-5")]


class _Store(MemoryStore):
    def run(self, id_or_prefix):
        return SimpleNamespace(id=id_or_prefix, state="succeeded")


class TestRun:
    def _store(self, tmp_path, spec, model):
        store = _Store(tmp_path)
        for step, content in ((0, b"older"), (1, save_state(model, spec))):
            file = store.artifacts.put(content)
            store.save_checkpoint(Checkpoint(run_id="r", step=step, file=file))
        return store

    def _begin(self, tmp_path, spec, store):
        log = _Log()
        model = first_network(spec, "run:r", seed=4, store=store, root=tmp_path, log=log)
        return model, log

    def test_the_last_checkpoint_of_another_run_is_taken(self, tmp_path):
        given = build(LENET, seed=7)
        model, log = self._begin(tmp_path, LENET, self._store(tmp_path, LENET, given))
        assert _equal(model, given)
        assert "after its step 1: loaded" in log[0]

    def test_other_classes_get_a_fresh_head_from_the_seed(self, tmp_path):
        given = build(LENET, seed=7)
        store = self._store(tmp_path, LENET, given)
        three = dataclasses.replace(LENET, classes=3)
        model, log = self._begin(tmp_path, three, store)
        again, _ = self._begin(tmp_path, three, store)
        assert model.fc3.weight.shape == (3, 84)
        assert _equal(model, again)
        assert torch.equal(model.fc1.weight, given.fc1.weight)
        assert "from 10 to 3 classes" in log[0]

    def test_another_network_is_refused(self, tmp_path):
        store = self._store(tmp_path, LENET, build(LENET))
        with pytest.raises(ModelError, match=r"is of lenet5 .* asks for resnet18"):
            self._begin(tmp_path, RESNET18, store)

    def test_a_run_without_a_finished_step_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="has left no weights"):
            self._begin(tmp_path, LENET, _Store(tmp_path))


class TestHead:
    @pytest.mark.parametrize("name", ["lenet5", "vgg16_bn", "resnet20", "densenet40", "mobilenet_v3_small"])
    def test_a_frozen_backbone_leaves_the_last_layer_to_train(self, name):
        model = build(NetworkSpec(model=name, classes=5, channels=1, image_size=32))
        before = [p.requires_grad for p in model.parameters()]
        with frozen_backbone(model):
            trained = {name for name, p in model.named_parameters() if p.requires_grad}
        last = final_classifier(model)[0]
        assert trained == {f"{last}.weight", f"{last}.bias"}
        assert [p.requires_grad for p in model.parameters()] == before

    def test_as_many_classes_change_nothing(self):
        model = build(LENET, seed=1)
        assert not with_classes(model, 10)
        assert _equal(model, build(LENET, seed=1))
        assert with_classes(model, 4)
        assert head_of(model) == "fc3"


OWN = """
import torch
from torch import nn

def network(classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size ** 2, classes))

def number(classes, channels, image_size):
    return classes

def broken(classes, channels, image_size):
    raise ValueError("too few")
"""


class TestOwn:
    @pytest.fixture(autouse=True)
    def module(self, tmp_path, monkeypatch):
        (tmp_path / "my_networks.py").write_text(OWN)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))

    def _spec(self, function, module="my_networks"):
        return NetworkSpec(model=f"{module}:{function}", classes=3, channels=1, image_size=8)

    def test_it_is_built_saved_and_loaded(self, tmp_path):
        model = build(self._spec("network"), seed=3)
        (tmp_path / "own.safetensors").write_bytes(save(model.state_dict()))
        other = build(self._spec("network"), seed=4)
        load_pretrained(other, tmp_path / "own.safetensors", _Log())
        assert _equal(model, other)

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            (("network", "no_such_module"), "Cannot import the network no_such_module:network"),
            (("nothing",), "AttributeError"),
            (("number",), "must return a torch.nn.Module, not int"),
            (("broken",), "failed: ValueError: too few"),
        ],
    )
    def test_what_goes_wrong_is_said_in_a_sentence(self, spec, message):
        with pytest.raises(ModelError, match=message):
            build(self._spec(*spec))

    def test_a_recipe_may_name_it_here_but_not_in_a_browser(self):
        recipe = parse_recipe(_recipe(name="my_networks:network"))
        assert [path for path, _ in code_problems(recipe.model_dump())] == ["model.name"]
        assert code_problems(parse_recipe(_recipe()).model_dump()) == []

    def test_neither_may_a_search_vary_it_into_one(self):
        plain = {"model": {"name": "lenet5", "weights": "run:abc"}}
        assert (
            code_problems(plain, {"seed": {"low": 0, "high": 3}, "model.weights": {"choices": ["run:a"]}})
            == []
        )
        for path, choice in (("model.name", "os:abort"), ("model", {"name": "os:abort"})):
            found = code_problems(plain, {path: {"choices": ["lenet5", choice]}})
            assert [where for where, _ in found] == [f"space.{path}"]


class TestUpload:
    def _file(self, **tensors):
        return io.BytesIO(save(tensors or {"a": torch.ones(2, 3), "b": torch.ones(4)}))

    def test_it_is_kept_below_the_root_and_a_recipe_finds_it(self, tmp_path):
        added = add_weights(self._file(), "mine.safetensors", root=tmp_path)
        assert (added.path, added.tensors, added.values) == ("uploads/mine.safetensors", 2, 10)
        assert uploaded_weights(tmp_path) == [added.path]
        assert find_file(added.path, tmp_path).read_bytes() == self._file().getvalue()

    @pytest.mark.parametrize("name", ["../evil", "", "a/b", ".hidden", "x" * 80, "a\0b"])
    def test_names_cannot_lead_out_of_the_folder(self, name, tmp_path):
        with pytest.raises(ModelError, match="cannot be the name"):
            add_weights(self._file(), name, root=tmp_path)
        assert uploaded_weights(tmp_path) == []

    def test_a_name_is_taken_unless_it_may_be_replaced(self, tmp_path):
        add_weights(self._file(), "mine", root=tmp_path)
        with pytest.raises(ModelError, match="already"):
            add_weights(self._file(c=torch.ones(1)), "mine", root=tmp_path)
        assert add_weights(self._file(c=torch.ones(1)), "mine", root=tmp_path, replace=True).tensors == 1

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"short",
            pickle.dumps({"a": 1}),
            (2**60).to_bytes(8, "little") + b"{}",
            (2).to_bytes(8, "little") + b"{}",
            (2).to_bytes(8, "little") + b"[]",
            (1).to_bytes(8, "little") + b"\xff",
            *(
                len(header).to_bytes(8, "little") + header + b"\0" * 8
                for header in (
                    b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
                    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                    b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}',
                    b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[8,0]}}',
                    b'{"a":{"dtype":"X","shape":[2],"data_offsets":[0,8]}}',
                    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
                    b'{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}',
                    b'{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}',
                    b'{"a":7}',
                )
            ),
        ],
    )
    def test_what_is_no_sound_safetensors_file_is_refused(self, content, tmp_path):
        with pytest.raises(ModelError, match="no sound safetensors file"):
            add_weights(io.BytesIO(content), "mine", root=tmp_path)
        assert list(tmp_path.rglob("*")) == []

    def test_a_file_that_is_cut_off_is_refused(self):
        whole = self._file().getvalue()
        assert set(read_header(io.BytesIO(whole))) == {"a", "b"}
        with pytest.raises(ModelError, match="not as long as"):
            read_header(io.BytesIO(whole[:-1]))


def test_a_published_cifar_resnet_is_converted(tmp_path):
    place = ROOT / "examples" / "convert_cifar_resnet.py"
    script = importlib.util.spec_from_file_location("convert_cifar_resnet", place)
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    spec = NetworkSpec(model="resnet20", classes=10, channels=3, image_size=32)
    given = build(spec, seed=1)
    published = {
        f"module.{k}": v for k, v in given.state_dict().items() if "shortcut" not in k and "tracked" not in k
    }
    torch.save({"state_dict": published, "best_prec1": 91.7}, tmp_path / "resnet20.th")
    assert module.convert(tmp_path / "resnet20.th", tmp_path / "r.safetensors") == "resnet20"
    model = build(spec, seed=2)
    load_pretrained(model, tmp_path / "r.safetensors", _Log())
    assert _equal(model, given)

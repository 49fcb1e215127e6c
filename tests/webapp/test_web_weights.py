"""Weights on the Compress page, and what a browser may not name."""

import dataclasses
import io

import numpy as np
import pytest
from safetensors.numpy import save
from streamlit.testing.v1 import AppTest

from slimcast.errors import ModelError, RecipeError
from slimcast.recipe import parse_recipe
from slimcast_web.services import compress, search, weights
from slimcast_web.services.compress import Draft
from support_search import search_text
from support_wait import PATIENCE

CONTENT = save({"conv1.weight": np.ones((6, 1, 5, 5), np.float32)})
OWN = compress.yaml_of(Draft()).replace("{name: lenet5}", "{name: 'my.networks:build'}")


@pytest.fixture
def opened(opened, tmp_path):
    opened.settings = dataclasses.replace(opened.settings, weights_root=tmp_path / "weights")
    return opened


class TestService:
    def test_what_a_network_can_begin_with(self, opened):
        assert weights.choices(opened, "lenet5") == ["none"]
        assert weights.choices(opened, "resnet18") == ["none", "imagenet"]
        assert weights.choices(opened, "timm:resnet18") == ["none", "imagenet"]
        added = weights.upload(opened, io.BytesIO(CONTENT), "mine", replace=False)
        assert weights.choices(opened, "lenet5") == ["none", added.path]
        with pytest.raises(ModelError, match="no sound safetensors"):
            weights.upload(opened, io.BytesIO(b"x"), "other", replace=False)

    @pytest.mark.parametrize(
        "draft",
        [
            Draft(model="resnet18", weights="imagenet", freeze_backbone=True),
            Draft(weights="uploads/mine.safetensors"),
            Draft(model="timm:mobilenetv4_conv_small", weights="run:abc"),
        ],
    )
    def test_given_weights_are_said_in_the_recipe(self, draft):
        text = compress.yaml_of(draft)
        assert compress.problems(text) == []
        assert parse_recipe(text).model.weights == draft.weights

    def test_code_of_one_s_own_is_refused_wherever_it_comes_from_a_browser(self, opened):
        assert "my.networks:build" in OWN
        assert [path for path, _ in compress.problems(OWN)] == ["model.name"]
        with pytest.raises(RecipeError, match="slimcast run"):
            compress.start(opened, OWN)
        assert opened.store.runs() == []

    def test_a_search_is_refused_as_well(self, opened):
        text = search_text()
        assert search.problems(text) == []
        own = text.replace("lenet5", "my.networks:build")
        assert "model.name" in [path for path, _ in search.problems(own)]
        with pytest.raises(RecipeError, match="slimcast run"):
            search.start(opened, own)


class TestPage:
    def _page(self) -> AppTest:
        return AppTest.from_string(
            "from slimcast_web.pages import compress\ncompress.show()", default_timeout=60 * PATIENCE
        ).run()

    def _uploaded(self, content: bytes) -> AppTest:
        test = self._page()
        test.file_uploader(key="weights-upload-file").set_value(
            ("mine.safetensors", content, "application/octet-stream")
        ).run()
        test.button(key="weights-upload-add").click().run()
        assert not test.exception
        return test

    def test_uploaded_weights_become_those_of_the_recipe(self, opened):
        test = self._uploaded(CONTENT)
        assert "weights: uploads/mine.safetensors" in test.text_area[0].value
        assert test.selectbox(key="subject-weights").value == "uploads/mine.safetensors"
        assert "1 tensors with 150 values" in test.success[0].value
        assert compress.problems(test.text_area[0].value) == []

    def test_another_file_is_a_sentence_and_changes_nothing(self, opened):
        test = self._uploaded(b"no tensors")
        assert "no sound safetensors file" in "\n".join(str(code.value) for code in test.code)
        assert test.selectbox(key="subject-weights").value == "none"

    def test_a_network_of_timm_that_the_text_names_is_shown(self, opened):
        test = self._page()
        text = test.text_area[0].value.replace("{name: lenet5}", "{name: 'timm:mobilenetv4_conv_small'}")
        test.text_area[0].set_value(text).run()
        assert not test.exception
        assert test.selectbox(key="subject-model").value == "timm:mobilenetv4_conv_small"
        assert compress.problems(test.text_area[0].value) == []

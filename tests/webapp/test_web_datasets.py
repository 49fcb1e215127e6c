"""Looking at data and uploading images: the service, and the Compress page around it."""

import dataclasses
import io
import zipfile

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec
from slimcast_web.components.plain import plain
from slimcast_web.services import compress, datasets
from slimcast_web.services.compress import Draft
from support_folder import COLOURS, make_set, picture, write
from support_wait import PATIENCE


@pytest.fixture
def opened(opened, tmp_path):
    opened.settings = dataclasses.replace(opened.settings, data_root=tmp_path / "data")
    return opened


def _zip(*odd: tuple[str, bytes], names=("cat", "dog")) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in ("train", "test"):
            for name in names:
                archive.writestr(f"{part}/{name}/0.jpg", picture(COLOURS.get(name, (9, 9, 9))))
        for name, content in odd:
            archive.writestr(name, content)
    return buffer.getvalue()


def _page(**state) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import compress\ncompress.show()", default_timeout=60 * PATIENCE
    )
    for key, value in state.items():
        test.session_state[key] = value
    return test.run()


def _texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


class TestService:
    def test_the_data_of_a_recipe_are_found_and_a_wrong_recipe_has_none(self):
        text = compress.yaml_of(Draft(data="folder", path="uploads/pets"))
        assert datasets.spec_of(text) == DataSpec(name="folder", path="uploads/pets")
        assert datasets.spec_of(text.replace("kind: train", "kind: x")) is None

    def test_a_look_is_kept_until_the_folder_changes(self, opened):
        root = opened.settings.data_root
        make_set(root / "pets")
        spec = DataSpec(name="folder", path="pets")
        first = datasets.look(opened, spec)
        assert datasets.look(opened, spec) is first
        write(root / "pets" / "train" / "cat" / "new.jpg", picture())
        assert datasets.look(opened, spec).total("train") == first.total("train") + 1

    def test_what_is_uploaded_is_listed(self, opened):
        assert datasets.uploaded(opened) == []
        added = datasets.upload(
            opened, io.BytesIO(_zip()), "pets", replace=False, progress=lambda share: None
        )
        assert datasets.uploaded(opened) == [added.path] == ["uploads/pets"]
        with pytest.raises(DataError, match="already"):
            datasets.upload(opened, io.BytesIO(_zip()), "pets", replace=False, progress=lambda share: None)

    @pytest.mark.parametrize(
        ("counts", "text"),
        [
            ((5, 5), "5 training images in each class."),
            ((10, 12), "10 to 12 training images in a class."),
            ((2, 9), "Uneven: the largest class has 9 training images, 4.5 times as many as the smallest."),
            ((0, 9), "Uneven: the largest class has 9 training images, against none in the smallest."),
        ],
    )
    def test_the_balance_is_a_sentence(self, counts, text):
        assert datasets.balance(counts) == text


class TestLook:
    def test_nothing_is_read_while_it_is_closed(self, opened, monkeypatch):
        monkeypatch.setattr(datasets, "look", lambda *a: pytest.fail("reads"))
        assert not _page().exception

    def test_counts_and_pictures(self, opened):
        test = _page(**{"data-look": True})
        assert not test.exception
        assert not test.error
        shown = {metric.label: metric.value for metric in test.metric}
        assert {
            "Classes": "10", "Training images": "1,347", "Validation images": "0", "Test images": "450",
        }.items() <= shown.items()  # fmt: skip
        assert len(test.get("plotly_chart")) == 1
        assert len(test.get("image")) == 10

    def test_missing_data_are_a_sentence(self, opened):
        test = _page(**{"data-look": True, "recipe-kept": compress.yaml_of(Draft(data="cifar10"))})
        assert not test.exception
        assert "CIFAR-10 is not complete" in _texts(test.code)

    def test_a_wrong_recipe_has_no_data_to_show(self, opened):
        test = _page(**{"data-look": True, "recipe-kept": "name: x\n"})
        assert not test.exception
        assert "put right" in _texts(test.info)

    def test_refused_files_and_odd_names_are_plain_text(self, opened):
        make_set(
            opened.settings.data_root / "pets",
            names=("cat", "![x](http://example.org/y.png)".replace("/", ":")),
        )
        write(opened.settings.data_root / "pets" / "train" / "cat" / "<b>.txt", b"x")
        text = compress.yaml_of(Draft(data="folder", path="pets"))
        test = _page(**{"data-look": True, "recipe-kept": text})
        assert not test.exception
        assert "<b>.txt is no image" in _texts(test.code)
        assert any(caption.value.startswith(r"\!\[x\]\(") for caption in test.caption)

    def test_plain_names_stay_readable(self):
        assert plain("T-shirt/top") == r"T\-shirt\/top"
        assert plain("Ankle boot ü") == "Ankle boot ü"


class TestUpload:
    def _uploaded(self, content: bytes, name="pets") -> AppTest:
        test = _page()
        test.file_uploader(key="data-upload-file").set_value(
            ("my pets.zip", content, "application/zip")
        ).run()
        test.text_input(key="data-upload-name").set_value(name).run()
        test.button(key="data-upload-add").click().run()
        assert not test.exception
        return test

    def test_the_set_becomes_the_data_of_the_recipe(self, opened):
        test = self._uploaded(_zip(("train/cat/notes.txt", b"x")))
        assert "4 images of 2 classes" in _texts(test.success)
        assert "train/cat/notes.txt is no image" in _texts(test.code)
        assert "path: uploads/pets" in test.text_area[0].value
        assert test.selectbox(key="subject-data").value == "folder"
        assert test.selectbox(key="subject-path").value == "uploads/pets"
        assert compress.problems(test.text_area[0].value) == []

    def test_a_bad_archive_is_a_sentence_and_changes_nothing(self, opened):
        test = self._uploaded(b"no zip at all")
        assert "no zip archive" in _texts(test.code)
        assert test.selectbox(key="subject-data").value == "digits"
        assert datasets.uploaded(opened) == []

    def test_a_name_that_cannot_be_used_is_said(self, opened):
        test = self._uploaded(_zip(), name="../pets")
        assert "cannot be the name" in _texts(test.code)

    def test_a_set_is_replaced_only_when_told(self, opened):
        self._uploaded(_zip())
        test = self._uploaded(_zip(names=("cat", "hen")))
        assert "already is a data set" in _texts(test.code)
        test.toggle(key="data-upload-replace").set_value(True).run()
        test.button(key="data-upload-add").click().run()
        assert not test.exception
        assert datasets.look(opened, DataSpec(name="folder", path="uploads/pets")).labels == ("cat", "hen")


class TestForm:
    def test_a_folder_asks_where_it_is(self, opened):
        make_set(opened.settings.data_root / "uploads" / "pets")
        test = _page()
        test.selectbox(key="subject-data").set_value("folder").run()
        assert "missing" in _texts(test.caption)
        test.selectbox(key="subject-path").set_value("uploads/pets").run()
        assert "path: uploads/pets" in test.text_area[0].value
        assert not test.error
        test.selectbox(key="subject-model").set_value("mobilenet_v2").run()
        assert "path: uploads/pets" in test.text_area[0].value

    def test_a_path_that_the_text_says_is_shown(self, opened):
        test = _page(**{"recipe-kept": compress.yaml_of(Draft(data="folder", path="/srv/my pets"))})
        assert not test.exception
        assert test.selectbox(key="subject-path").value == "/srv/my pets"
        test.selectbox(key="subject-data").set_value("digits").run()
        assert "path" not in test.text_area[0].value

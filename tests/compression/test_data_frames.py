"""What the data sets say of a camera's frames: handwriting on paper becomes an image of the set."""

from pathlib import Path

import numpy as np
import pytest

from slimcast.catalog import DATA
from slimcast.data.digits import load
from slimcast.data.load import input_for
from slimcast.recipe import DataSpec, parse_recipe
from slimcast_edge.artifact import ArtifactInfo, FrameSpec, NumericKind
from slimcast_edge.camera.paper import draw_on_paper
from slimcast_edge.preprocess import prepare

RECIPE = """
version: 1
name: a
model: {name: lenet5}
data: {name: digits, frames: {invert: always, region: [0.25, 0, 0.75, 1]}, resize: letterbox}
steps: [{kind: train, epochs: 1}]
"""


@pytest.fixture(scope="module")
def digits():
    """Real digits, 8x8."""
    return load(Path())


def _nearest(images, data):
    """Classify by the nearest training image: no network that a test would have to train."""
    known = data.train_images.reshape(len(data.train_images), -1).astype(np.float32)
    asked = np.stack(images).reshape(len(images), -1).astype(np.float32)
    distances = (known**2).sum(1)[None] - 2 * asked @ known.T
    return data.train_labels[distances.argmin(1)]


def _small(image, spec):
    """Return an input as an image of the set, which was enlarged to it."""
    return prepare(image, spec.model_copy(update={"height": 8, "width": 8, "frame": FrameSpec()}))[0]


@pytest.mark.parametrize("polarity", ["ink on paper", "chalk on a board"])
def test_held_out_digits_on_paper_are_recognised(digits, polarity):
    spec = input_for(DataSpec(name="digits"), side=32, channels=1)
    seen = []
    for index in range(150):
        frame = draw_on_paper(digits.test_images[index].repeat(3, -1), 320, 240, seed=index)
        frame = frame if polarity == "ink on paper" else 255 - frame
        seen.append(_small(prepare(frame, spec)[0], spec))
    right = _nearest(seen, digits) == digits.test_labels[:150]
    assert right.mean() >= 0.9
    plain = input_for(DataSpec(name="digits", frames={}), side=8, channels=1)
    unaided = [prepare(255 - draw_on_paper(digits.test_images[i].repeat(3, -1), 320, 240, i), plain)[0]
               for i in range(50)]  # fmt: skip
    assert (_nearest(unaided, digits) == digits.test_labels[:50]).mean() < 0.5


@pytest.mark.parametrize("side", [8, 32])
def test_an_image_of_the_set_is_not_changed(digits, side):
    """Neither as an input, nor when a simulated camera fills the middle of its frame with it."""
    spec = input_for(DataSpec(name="digits"), side=side, channels=1)
    trained = spec.model_copy(update={"frame": FrameSpec()})
    for image in digits.test_images[:100]:
        expected = prepare(image, trained)[0]
        assert np.array_equal(prepare(expected, spec)[0], expected)
        frame = np.full((240, 320, 1), 40, np.uint8)
        frame[:, 40:280] = image.repeat(30, 0).repeat(30, 1)
        assert np.array_equal(prepare(frame, spec)[0], expected)


def test_a_recipe_says_otherwise():
    recipe = parse_recipe(RECIPE)
    spec = input_for(recipe.data, side=32, channels=1)
    assert (spec.resize, spec.frame.invert, spec.frame.subject) == ("letterbox", "always", "all")
    assert spec.frame.region == (0.25, 0, 0.75, 1)
    assert parse_recipe(recipe.to_yaml()).hash == recipe.hash
    nothing = parse_recipe(RECIPE.replace("{invert: always, region: [0.25, 0, 0.75, 1]}", "{}"))
    plain = input_for(parse_recipe(nothing.to_yaml()).data, side=8, channels=1).frame
    assert plain.model_dump() == FrameSpec().model_dump()


@pytest.mark.parametrize("name", [name for name in DATA.names() if not DATA[name].needs_path])
def test_every_set_says_it_in_an_artifact(name):
    spec = input_for(DataSpec(name=name), side=40, channels=3)
    assert spec.frame.detail == DATA[name].image_size  # frames are made as coarse as the enlarged images
    assert input_for(DataSpec(name=name), side=DATA[name].image_size, channels=3).frame.detail is None
    info = ArtifactInfo(
        name="a", labels=["x"], input=spec, numeric_kind=NumericKind.FLOAT32, opset=17, recipe_hash=""
    )
    assert ArtifactInfo.from_json(info.to_json()).input.model_dump() == spec.model_dump()

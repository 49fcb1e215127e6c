"""How small a picture may be, so that a model sees all that it can see."""

import numpy as np
import pytest

from slimcast_edge.artifact import FrameSpec, InputSpec
from slimcast_edge.camera import Frame
from slimcast_edge.client.engine import Loaded, answer
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.input_detail import needed_size, suffices
from slimcast_edge.preprocess import prepare
from slimcast_edge.wire import CameraView


def spec(side, resize="center_crop", **frame):
    return InputSpec(height=side, width=side, channels=3, resize=resize, frame=FrameSpec(**frame))


@pytest.mark.parametrize(
    ("wanted", "view", "size"),
    [
        (spec(224), {}, (300, 224)),
        (spec(224, "letterbox"), {}, (224, 168)),
        (spec(224, "stretch"), {}, (300, 224)),
        (spec(224), {"rotation": 90}, (300, 224)),
        (spec(120), {"region": (0.25, 0.25, 0.75, 0.75)}, (320, 240)),
        (spec(120, region=(0, 0, 0.5, 0.5)), {}, (320, 240)),
        (spec(448), {}, (598, 448)),
        (spec(640), {}, (640, 480)),  # more than the camera has
        (spec(28), {}, (86, 64)),  # image processors shrink only so far
        (spec(224, detail=96), {}, (128, 96)),
        (spec(32, subject="ink"), {}, (214, 160)),
    ],
)
def test_the_size_that_a_model_needs(wanted, view, size):
    view = CameraView(**view)
    assert needed_size(wanted, view, 640, 480) == size


@pytest.mark.parametrize("side", [32, 96, 223, 224])
@pytest.mark.parametrize("resize", ["center_crop", "letterbox", "stretch"])
@pytest.mark.parametrize("region", [None, (0.1, 0.2, 0.7, 0.9)])
@pytest.mark.parametrize("stream", [(640, 480), (1280, 720), (480, 640), (500, 500)])
def test_what_a_camera_shrinks_to_suffices_and_half_of_it_does_not(side, resize, region, stream):
    wanted = spec(side, resize, region=region)
    width, height = needed_size(wanted, CameraView(), *stream)
    assert suffices(wanted, height, width)
    if min(width, height) > 64:
        assert not suffices(wanted, height // 2, width // 2)


class _Echo:
    """A runtime that keeps what it is given."""

    def __init__(self, wanted):
        self.info = type("Info", (), {"input": wanted, "labels": ["a", "b", "c"]})

    def run(self, images):
        self.seen = images
        return np.zeros((1, 3), np.float32)


def seen(wanted, frame):
    runtime = _Echo(wanted)
    answer(Loaded(ModelEntry(sha256="a" * 64, name="m"), runtime), frame)
    return runtime.seen


def test_a_model_that_needs_more_than_the_small_picture_sees_the_large_one():
    large, small = np.full((480, 640, 3), 200, np.uint8), np.full((96, 128, 3), 10, np.uint8)
    frame = Frame(pixels=large, small=small, captured_at=0, number=0)
    assert seen(spec(96), frame).max() == 10
    assert seen(spec(224), frame).min() == 200
    assert seen(spec(96, region=(0, 0, 0.5, 1)), frame).min() == 200


def test_a_picture_that_a_camera_shrank_to_the_inputs_size_is_still_a_frame():
    """A test image of the input's size is passed on as it is; what a camera sees has to be inverted."""
    paper = np.full((96, 96, 3), 230, np.uint8)
    paper[40:60, 40:50] = 20
    wanted = spec(96, invert="always", contrast="stretch")
    frame = Frame(pixels=paper.repeat(5, 0).repeat(5, 1), small=paper, captured_at=0, number=0)
    assert (prepare(paper, wanted)[0] == paper).all()
    assert seen(wanted, frame)[0, 50, 45].min() == 255
    assert seen(wanted, frame)[0, 0, 0].max() == 0

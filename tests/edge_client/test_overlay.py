"""What is drawn onto streamed frames by choice."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from slimcast_edge.artifact import FrameSpec, InputSpec
from slimcast_edge.client import overlay
from slimcast_edge.client.frame_lane import FrameLane
from slimcast_edge.wire import Prediction, Result, StreamSettings

RESULT = Result(
    session="s", frame=1, captured_at=1, classified_at=1, latency_ms=1, artifact="a",
    predictions=[Prediction(label="Katze", index=3, score=0.987)],
)  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["label"], "Katze"),
        (["fps", "score", "label"], "Katze   99 %   30 fps"),
        (["fps"], "30 fps"),
        ([], ""),
        (["boxes-of-a-later-version"], ""),
    ],
)
def test_the_words_are_those_that_were_chosen(parts, text):
    assert overlay.caption(RESULT, parts, 29.6) == text


def test_without_an_answer_only_the_rate_is_said():
    nothing = RESULT.model_copy(update={"predictions": []})
    assert overlay.caption(nothing, overlay.PARTS, 12.0) == "12 fps"


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640, 1), (24, 32, 3)])
def test_the_band_is_at_the_bottom_and_the_frame_stays_what_it_was(shape):
    frame = np.full(shape, 150, np.uint8)
    drawn = overlay.draw(frame, "Katze   99 %")
    assert drawn.shape == shape
    assert (frame == 150).all(), "others still use the frame"
    assert (drawn[: shape[0] // 4] == 150).all()
    band = drawn[-4:]
    assert band.min() == 50
    assert drawn.max() > 240


def test_a_text_that_is_too_long_keeps_its_beginning():
    frame = np.zeros((48, 64, 3), np.uint8)
    columns = (overlay.draw(frame, "W" + " " * 200 + "W") > 200).any(axis=(0, 2))
    assert columns[:20].any()
    assert not columns[40:].any()


@pytest.mark.parametrize("parts", [[], ["label"]])
def test_streamed_frames_carry_it_by_choice(parts):
    class Wire:
        connected, number = True, 1

        def publish(self, _topic, data):
            self.data = data

    wire = Wire()
    lane = FrameLane(wire, "slimcast/v1/lab/cam1/frame")
    lane.send(np.zeros((96, 128, 3), np.uint8), RESULT, StreamSettings(overlay=parts, quality=95), 10.0)
    picture = np.asarray(Image.open(io.BytesIO(wire.data)))
    assert (picture.max() > 200) == bool(parts)


def _info(**size):
    return SimpleNamespace(input=InputSpec(**size))


def _edges(drawn):
    """Return (left, top, right, bottom) of what is yellow."""
    yellow = (drawn[..., 0] > 200) & (drawn[..., 2] < 90)
    rows, columns = np.flatnonzero(yellow.any(1)), np.flatnonzero(yellow.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize(
    ("resize", "region", "edges"),
    [
        ("center_crop", None, (80, 0, 560, 480)),
        ("stretch", None, (0, 0, 640, 480)),
        ("letterbox", (0.25, 0.5, 0.75, 1.0), (160, 240, 480, 480)),
        ("center_crop", (0.5, 0.0, 1.0, 0.5), (360, 0, 600, 240)),
    ],
)
def test_the_box_is_around_what_the_model_looks_at(resize, region, edges):
    info = _info(height=96, width=96, channels=3, resize=resize, frame=FrameSpec(region=region))
    frame = np.full((480, 640, 3), 150, np.uint8)
    drawn = overlay.draw(frame, "", overlay.box_of(frame, info, ["box"]))
    assert _edges(drawn) == edges
    assert (frame == 150).all(), "others still use the frame"
    assert (drawn[200:220, 400:420] == 150).all()
    assert overlay.draw(frame, "", overlay.box_of(frame, info, ["label"])) is frame


def test_the_box_is_around_the_writing_that_was_found():
    info = _info(height=28, width=28, channels=1, frame=FrameSpec(subject="ink", invert="auto"))
    frame = np.full((480, 640, 3), 220, np.uint8)
    frame[150:300, 400:420] = 30
    left, top, right, bottom = _edges(overlay.draw(frame, "", overlay.box_of(frame, info, ["box"])))
    assert abs(np.array([left, top, right, bottom]) - (400, 150, 420, 300)).max() <= 4
    blank = np.full((480, 640, 3), 220, np.uint8)
    assert _edges(overlay.draw(blank, "", overlay.box_of(blank, info, ["box"]))) == (80, 0, 560, 480)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.5, 0.5, 0.5, 0.5), (0.99, 0.99, 1, 1)])
@pytest.mark.parametrize("shape", [(24, 32, 3), (24, 32, 1), (1, 1, 3)])
def test_no_box_is_too_small_or_at_the_edge(shape, box):
    assert overlay.draw(np.zeros(shape, np.uint8), "", box).shape == shape

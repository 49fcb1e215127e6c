"""What is drawn onto streamed frames by choice."""

import io

import numpy as np
import pytest
from PIL import Image

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

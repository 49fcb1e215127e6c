import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from slimcast_edge.errors import WireError
from slimcast_edge.frames import embed, encode_frame, encode_jpeg, extract
from slimcast_edge.wire import MAX_FRAME_BYTES, Prediction, Result

RESULT = Result(
    session="s",
    frame=7,
    captured_at=1.5,
    classified_at=2.5,
    latency_ms=3.0,
    artifact="a" * 64,
    predictions=[Prediction(label="größer", index=1, score=0.5)],
    expected="seven",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_a_frame_is_a_plain_jpeg_that_carries_its_result():
    frame = embed(encode_jpeg(PIXELS, 90), RESULT)
    result, jpeg = extract(frame)
    assert result == RESULT
    picture = Image.open(io.BytesIO(jpeg))
    assert (picture.format, picture.size, picture.mode) == ("JPEG", (64, 48), "RGB")


def test_red_stays_red():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    picture = np.asarray(Image.open(io.BytesIO(encode_frame(red, RESULT, quality=95, width=640))))
    assert (picture[..., 0] > 240).all()
    assert (picture[..., 1:] < 15).all()


@pytest.mark.parametrize(("shape", "size"), [((480, 640, 3), (320, 240)), ((100, 100, 1), (100, 100))])
def test_frames_are_at_most_as_wide_as_asked_for(shape, size):
    frame = encode_frame(np.zeros(shape, np.uint8), RESULT, quality=80, width=320)
    assert Image.open(io.BytesIO(frame)).size == size


def test_a_frame_above_the_limit_is_encoded_worse_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1400, 3), dtype=np.uint8)
    frame = encode_frame(noise, RESULT, quality=95, width=4096)
    assert len(frame) <= MAX_FRAME_BYTES
    assert extract(frame)[0] == RESULT


def test_other_comments_are_passed_over():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", comment=b"made by hand")
    with pytest.raises(WireError, match="no result"):
        extract(buffer.getvalue())
    assert extract(embed(buffer.getvalue(), RESULT))[0] == RESULT


@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xd8", b"\xff\xd8\xff\xfe\x00\x00", b"PNG", b"\xff\xd8" + b"\xff" * 50]
)
def test_what_is_no_frame_is_refused(junk):
    with pytest.raises(WireError):
        extract(junk)


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_break_the_reader(junk, at):
    frame = embed(encode_jpeg(PIXELS, 50), RESULT)
    for data in (junk, b"\xff\xd8" + junk, frame[:at] + junk + frame[at + len(junk) :]):
        try:
            extract(data)
        except WireError:
            continue

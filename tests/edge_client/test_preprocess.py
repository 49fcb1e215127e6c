import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from slimcast_edge.artifact import FrameSpec, InputSpec
from slimcast_edge.ink import isolate
from slimcast_edge.preprocess import _crop, prepare


def spec(height=32, width=32, channels=1, resize="center_crop", **frame):
    return InputSpec(height=height, width=width, channels=channels, resize=resize, frame=FrameSpec(**frame))


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("frame", [(480, 640, 3), (64, 64, 1), (20, 31, 3), (31, 20, 1), (33, 1000, 3)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (96, 96)])
def test_every_frame_becomes_an_input(frame, size, channels):
    ready = prepare(noise(*frame), spec(*size, channels))
    assert ready.shape == (1, *size, channels)
    assert ready.dtype == np.uint8
    assert ready.flags.c_contiguous


def test_a_frame_that_fits_is_not_copied():
    pixels = noise(32, 32, 1)
    assert np.shares_memory(prepare(pixels, spec()), pixels)


def test_whole_factors_average_exactly():
    small = noise(32, 32, 3)
    large = small.repeat(15, axis=0).repeat(15, axis=1)
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, 80:560] = large
    np.testing.assert_array_equal(prepare(frame, spec(channels=3))[0], small)


def test_no_pixel_is_skipped_when_it_shrinks():
    """Thin white lines, one in fifteen: sampling would see all or none, averaging sees their share."""
    frame = np.zeros((480, 480, 3), np.uint8)
    frame[::15] = 255
    ready = prepare(frame, spec())
    assert np.ptp(ready) <= 1
    assert abs(float(ready.mean()) - 255 / 15) < 1


def test_the_crop_is_the_middle():
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, :80], frame[:, 560:] = 255, 255
    assert prepare(frame, spec()).max() == 0
    tall = np.zeros((640, 480, 1), np.uint8)
    tall[:80], tall[560:] = 255, 255
    assert prepare(tall, spec()).max() == 0
    assert prepare(frame, spec(resize="stretch")).max() == 255


def test_grey_is_what_pillow_makes_of_it():
    pixels = noise(32, 32, 3)
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(prepare(pixels, spec())[0, ..., 0], expected)


def test_grey_frames_fill_three_channels():
    ready = prepare(noise(32, 32, 1), spec(channels=3))[0]
    assert (ready[..., 0] == ready[..., 1]).all()
    assert (ready[..., 1] == ready[..., 2]).all()


@pytest.mark.parametrize("size", [(224, 224), (96, 96), (32, 32), (160, 90), (90, 160)])
def test_no_proportion_puts_the_crop_outside_of_the_frame(size):
    """At 300x225, a common factor for both sides put it 3e-14 pixels outside, and Pillow refused."""
    wanted = spec(*size, channels=3)
    for height in range(40, 760, 3):
        for width in (height - 30, height, height * 4 // 3):
            left, top, right, bottom = _crop(height, width, wanted)
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0])
    assert prepare(noise(225, 300, 3), spec(224, 224, 3)).shape == (1, 224, 224, 3)


def test_an_older_artifact_says_nothing_of_frames():
    old = InputSpec.model_validate_json('{"height": 32, "width": 32, "channels": 1, "resize": "stretch"}')
    assert old.frame == FrameSpec()


@pytest.mark.parametrize(
    "rules",
    [
        {"invert": "always"},
        {"invert": "auto", "contrast": "stretch"},
        {"subject": "ink", "invert": "always"},
        {"region": (0, 0, 0.5, 1), "detail": 8},
    ],
)
def test_what_already_is_an_input_is_not_changed(rules):
    pixels = noise(32, 32, 1)
    assert np.shares_memory(prepare(pixels, spec(**rules)), pixels)


def test_a_letterbox_shows_the_whole_frame_between_black_bars():
    frame = np.full((240, 320, 3), 200, np.uint8)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = 90, 90, 90, 90
    ready = prepare(frame, spec(64, 64, 3, resize="letterbox"))[0]
    assert (ready[:8] == 0).all()
    assert (ready[56:] == 0).all()
    assert (ready[9:55, 1:-1] == 200).all()
    assert (ready[8:56, [0, -1]] < 200).all()
    tall = prepare(frame.swapaxes(0, 1), spec(64, 64, 3, resize="letterbox"))[0]
    np.testing.assert_array_equal(tall, ready.swapaxes(0, 1))


def test_only_the_region_counts():
    frame = np.zeros((240, 320, 3), np.uint8)
    frame[60:180, 160:] = 255
    assert (prepare(frame, spec(region=(0.5, 0.25, 1.0, 0.75))) == 255).all()
    assert (prepare(frame, spec(region=(0.0, 0.0, 0.5, 1.0))) == 0).all()
    for bad in [(0.5, 0, 0.5, 1), (0.6, 0, 0.2, 1), (0, 0, 1.2, 1)]:
        with pytest.raises(ValidationError):
            FrameSpec(region=bad)


@pytest.mark.parametrize("ground", [30, 220])
def test_polarity(ground):
    """A mark on a ground: `auto` makes it light on dark, `always` turns it round, `never` leaves it."""
    frame = np.full((240, 320, 3), ground, np.uint8)
    frame[100:140, 140:180] = 250 - ground
    as_it_is = prepare(frame, spec())[0]
    np.testing.assert_array_equal(prepare(frame, spec(invert="never", contrast="keep"))[0], as_it_is)
    np.testing.assert_array_equal(prepare(frame, spec(invert="always"))[0], 255 - as_it_is)
    auto = prepare(frame, spec(invert="auto"))[0]
    np.testing.assert_array_equal(auto, as_it_is if ground == 30 else 255 - as_it_is)


def test_contrast_is_stretched_but_noise_is_not():
    frame = np.full((240, 320, 1), 100, np.uint8)
    frame[:, 160:] = 160
    ready = prepare(frame, spec(contrast="stretch"))[0]
    assert (ready.min(), ready.max()) == (0, 255)
    wall = 120 + noise(240, 320, 1) // 128
    assert np.ptp(prepare(wall, spec(contrast="stretch"))) < 20


def _written(*strokes, ground=220, ink=60):
    """Return a sheet with dark bars, each (top, bottom, left, right)."""
    frame = np.full((240, 320, 3), ground, np.uint8)
    for top, bottom, left, right in strokes:
        frame[top:bottom, left:right] = ink
    return frame


def test_writing_is_found_scaled_and_centred():
    for size, top, left in [(40, 20, 30), (100, 110, 200), (160, 40, 120)]:
        frame = _written((top, top + size, left, left + size // 5))
        ready = prepare(frame, spec(28, 28, subject="ink", invert="auto", fill=0.7143))[0, ..., 0]
        rows, columns = np.flatnonzero(ready.max(1) > 128), np.flatnonzero(ready.max(0) > 128)
        assert abs(len(rows) - 20) <= 2
        assert abs((rows[0] + rows[-1]) / 2 - 13.5) <= 1
        assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 1
        assert ready.max() == 255
        assert ready[:2].max() == 0


def test_a_stroke_nearby_belongs_to_the_writing_and_one_afar_does_not():
    body, bar, other = (90, 170, 120, 160), (74, 84, 120, 180), (100, 160, 250, 262)
    alone, joined = (prepare(_written(*parts), spec(28, 28, subject="ink", invert="auto", fill=0.7))
                     for parts in ((body, bar), (body, bar, other)))  # fmt: skip
    np.testing.assert_array_equal(alone, joined)
    without = prepare(_written(body), spec(28, 28, subject="ink", invert="auto", fill=0.7))
    assert not np.array_equal(alone, without)


def test_a_hand_at_the_edge_is_not_the_writing():
    frame = _written((90, 150, 140, 156), (60, 240, 270, 320))
    ready = prepare(frame, spec(28, 28, subject="ink", invert="always"))[0, ..., 0]
    assert np.flatnonzero(ready.max(0)).size < 12  # a thin bar, not a wide block


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_sheet_gives_a_calm_input(level):
    frame = np.clip(level - 2.0 + noise(240, 320, 3) // 64, 0, 255).astype(np.uint8)
    wanted = spec(28, 28, subject="ink", invert="auto", contrast="stretch")
    assert isolate(frame, wanted) is None
    assert np.ptp(prepare(frame, wanted)) < 60


def test_a_frame_full_of_detail_has_no_writing():
    wanted = spec(28, 28, subject="ink", invert="auto")
    assert isolate(noise(240, 320, 3), wanted) is None
    assert prepare(noise(240, 320, 3), wanted).shape == (1, 28, 28, 1)


@pytest.mark.parametrize("shape", [(64, 64, 3), (31, 47, 1), (1080, 1920, 3), (33, 900, 3)])
@pytest.mark.parametrize("subject", ["all", "ink"])
def test_frames_of_any_size_pass(shape, subject):
    frame = np.full(shape, 210, np.uint8)
    height, width = shape[:2]
    frame[height // 3 : height // 2, width // 2 : width // 2 + max(2, height // 12)] = 30
    for turned in (frame, np.rot90(frame), frame[:, ::-1]):
        ready = prepare(
            turned, spec(28, 24, 3, subject=subject, invert="auto", contrast="stretch", detail=20)
        )
        assert ready.shape == (1, 28, 24, 3)
        assert ready.dtype == np.uint8

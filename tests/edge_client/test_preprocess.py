import numpy as np
import pytest
from PIL import Image

from slimcast_edge.artifact import InputSpec
from slimcast_edge.preprocess import _crop, prepare


def spec(height=32, width=32, channels=1, resize="center_crop"):
    return InputSpec(height=height, width=width, channels=channels, resize=resize)


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

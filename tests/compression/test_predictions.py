"""Answers that are kept: the same when read again, and nothing else is taken for them."""

import io
import zipfile

import numpy as np
import pytest

from slimcast.errors import StoreError
from slimcast.measure.predictions import Predictions

LABELS = ("cat", "dog", "größer <b>")


def _predictions(count: int = 5000) -> Predictions:
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, 3)).astype(np.float32) * 10
    return Predictions.of_logits(logits, random.integers(0, 3, count), LABELS)


def _npz(**changed: np.ndarray) -> bytes:
    kept = _predictions(4)
    names = np.frombuffer(b'["cat", "dog", "x"]', np.uint8)
    parts = {"top": kept.top, "scores": kept.scores, "truth": kept.truth, "labels": names} | changed
    buffer = io.BytesIO()
    np.savez(buffer, **{name: part for name, part in parts.items() if part is not None})
    return buffer.getvalue()


def test_scores_are_those_of_softmax():
    logits = np.array([[0, np.log(3), 0], [1000, 0, 0]], np.float32)
    kept = Predictions.of_logits(logits, np.array([1, 2]), LABELS)
    assert kept.top.tolist() == [1, 0]
    assert kept.scores.tolist() == pytest.approx([0.6, 1.0], abs=1e-3)


def test_they_are_the_same_when_read_again_and_small():
    kept = _predictions()
    content = kept.to_bytes()
    read = Predictions.from_bytes(content)
    assert all(
        np.array_equal(getattr(read, part), getattr(kept, part)) for part in ("top", "scores", "truth")
    )
    assert read.labels == LABELS
    assert kept.to_bytes() == content
    assert len(content) < 5 * len(kept.top)
    assert read.is_of_the_same_images(kept)
    assert not read.is_of_the_same_images(_predictions(10))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip at all",
        _predictions().to_bytes()[:-100],
        _npz(top=None),
        _npz(top=np.array([0, 1, 2, 3], np.uint16)),
        _npz(top=np.zeros(3, np.uint16)),
        _npz(scores=np.zeros(4, np.float64)),
        _npz(truth=np.array([object()] * 4, object)),
        _npz(labels=np.frombuffer(b'{"a": 1}', np.uint8)),
        _npz(labels=np.frombuffer(b"[1, 2, 3]", np.uint8)),
    ],
)
def test_what_is_none_of_ours_is_refused_in_a_sentence(content: bytes):
    with pytest.raises(StoreError, match="Run its recipe again"):
        Predictions.from_bytes(content)


def test_a_file_that_unpacks_to_too_much_is_not_unpacked():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("top.npy", "w") as part:
        for _ in range(65):
            part.write(bytes(1 << 20))
    with pytest.raises(StoreError, match="larger than"):
        Predictions.from_bytes(buffer.getvalue())

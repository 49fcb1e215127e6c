"""What a model answered to each held-out image: small enough to keep, and read without torch."""

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from slimcast.errors import StoreError

MOST_IMAGES = 1_000_000
_MOST_CLASSES = 65_536
_MOST_BYTES = 64 << 20
"""Of the file when it is unpacked: one that claims more is not of ours."""
_AT_ONCE = 4096  # images, for whose scores memory is taken

_DTYPES = {"top": np.uint16, "scores": np.float16, "truth": np.uint16, "labels": np.uint8}


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The top answers of a model to the held-out images, in the order of the set.

    Attributes:
        top: class with the highest logit, (N,) uint16.
        scores: its softmax probability, 0..1, (N,) float16: three digits.
        truth: the right class, (N,) uint16.
        labels: names of the classes.
    """

    top: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    labels: tuple[str, ...]

    @classmethod
    def of_logits(cls, logits: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> Self:
        """Make them of logits, (N, K), and right classes, (N,). The first `MOST_IMAGES` are kept."""
        count = min(len(logits), MOST_IMAGES)
        parts = [_scores(logits[start : start + _AT_ONCE]) for start in range(0, count, _AT_ONCE)]
        return cls(
            top=logits[:count].argmax(1).astype(np.uint16),
            scores=np.concatenate(parts)[:count],
            truth=truth[:count].astype(np.uint16),
            labels=labels,
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` has written.

        Raises:
            StoreError: it is something else, or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(part.file_size for part in archive.infolist()) > _MOST_BYTES:
                    raise ValueError("it is larger than such a file can be")
            with np.load(io.BytesIO(content), allow_pickle=False) as parts:
                arrays = {name: parts[name] for name in _DTYPES}
            labels = _checked_labels(arrays)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise StoreError(
                f"The kept answers of a variant cannot be read ({error}). Run its recipe again to have them."
            ) from error
        return cls(top=arrays["top"], scores=arrays["scores"], truth=arrays["truth"], labels=labels)

    def to_bytes(self) -> bytes:
        """Return them as .npz, a zip of plain arrays: the same answers give the same bytes."""
        buffer = io.BytesIO()
        names = np.frombuffer(json.dumps(self.labels).encode(), np.uint8)
        np.savez_compressed(buffer, top=self.top, scores=self.scores, truth=self.truth, labels=names)
        return buffer.getvalue()

    def is_of_the_same_images(self, other: "Predictions") -> bool:
        """Return whether both are answers to images of the same classes in the same order."""
        return self.labels == other.labels and np.array_equal(self.truth, other.truth)


def _scores(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(1, keepdims=True)
    return (1 / np.exp(logits - highest).sum(1)).astype(np.float16)


def _checked_labels(arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    for name, dtype in _DTYPES.items():
        part = arrays[name]
        if not isinstance(part, np.ndarray) or part.dtype != dtype or part.ndim != 1:
            raise ValueError(f"{name} is no row of {np.dtype(dtype)}")
    labels = json.loads(arrays["labels"].tobytes())
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("its labels are no list of names")
    sizes = {len(arrays[name]) for name in ("top", "scores", "truth")}
    if len(sizes) != 1 or not 0 < max(sizes) <= MOST_IMAGES or not 0 < len(labels) <= _MOST_CLASSES:
        raise ValueError("its parts do not fit together")
    if max(int(arrays["top"].max()), int(arrays["truth"].max())) >= len(labels):
        raise ValueError("it names a class that it does not have")
    return tuple(labels)

"""Whether models that somebody compares speak of the same classes."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from slimcast.errors import SlimcastError
from slimcast_edge.artifact_file import read_info
from slimcast_web.services.studio import Studio

_FILES_KEPT = 64
_SHOWN = 3


def strangers(studio: Studio, models: Sequence[tuple[str, str]]) -> str:
    """Say that two models have no label in common; "" where all share one, or a file is not in the store.

    Args:
        studio: whose store has the models.
        models: (sha256, name for people) of each; all are compared with the first.

    """
    if not models:
        return ""
    (first, first_name), *others = models
    known = _labels(studio, first) if others else ()
    for other, name in others:
        labels = _labels(studio, other)
        if known and labels and not set(known) & set(labels):
            return (
                f"{first_name} and {name} have no label in common ({_some(known)} and {_some(labels)}): they "
                "answer different questions, so they will never agree and their accuracies do not compare. "
                "Choose two models of the same classes."
            )
    return ""


def _labels(studio: Studio, sha256: str) -> tuple[str, ...]:
    try:
        return _read(studio.store.artifacts.local_path(sha256))
    except SlimcastError:
        return ()  # what cannot be read is refused where it is to be used, and says why


@lru_cache(maxsize=_FILES_KEPT)
def _read(path: Path) -> tuple[str, ...]:
    return tuple(read_info(path).labels)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(label[:30] for label in labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")

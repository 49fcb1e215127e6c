"""What variants answered to the held-out images: confusions, figures of each class, where two disagree."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from slimcast.data.held_out import HeldOut, held_out, picture
from slimcast.errors import DataError, RecipeError
from slimcast.measure.predictions import Predictions
from slimcast.recipe import parse_recipe
from slimcast.store.artifacts import ArtifactFiles
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point

MOST_CLASSES = 30
SAMPLES = 12
KINDS = ("all", "only the first is right", "only the second is right", "both are wrong")
_FILES_KEPT = 32


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """How a variant does on one class. Shares from 0 to 1; nan where there is nothing to divide by."""

    label: str
    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often which class was taken for which.

    Attributes:
        labels: of the shown classes. counts: (shown, shown), the true class by row.
        whole: whether these are all classes; else they are those that most errors belong to.
        errors: the commonest, (true class, answer, how often).
    """

    labels: tuple[str, ...]
    counts: np.ndarray
    whole: bool
    errors: list[tuple[str, str, int]]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Images to which two variants give different answers.

    Attributes:
        images: of how many. kinds: indices of the images, by a word of `KINDS`; `all` holds every one.
    """

    images: int
    kinds: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A held-out image with both answers. `png`: None where the data cannot be read. Scores: 0..1."""

    index: int
    png: bytes | None
    truth: str
    answers: tuple[str, str]
    scores: tuple[float, float]


def kept(studio: Studio, point: Point) -> Predictions | None:
    """Return a variant's answers; None where they were not kept (it is from an older version).

    Raises:
        StoreError: they are not in the store any more, or damaged.
    """
    if point.variant.predictions is None:
        return None
    return _read(studio.store.artifacts, point.variant.predictions)


def confusion(predictions: Predictions) -> Confusion:
    """Return the confusion matrix, of many classes only those with most errors."""
    truth, top = predictions.truth.astype(np.int64), predictions.top.astype(np.int64)
    labels, count = predictions.labels, len(predictions.labels)
    wrong = truth != top
    shown = np.arange(count)
    if count > MOST_CLASSES:
        errors = np.bincount(truth[wrong], minlength=count) + np.bincount(top[wrong], minlength=count)
        shown = np.sort(np.argsort(-errors, kind="stable")[:MOST_CLASSES])
    place = np.full(count, -1)
    place[shown] = np.arange(len(shown))
    inside = (place[truth] >= 0) & (place[top] >= 0)
    counts = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(counts, (place[truth[inside]], place[top[inside]]), 1)
    pairs, times = np.unique(np.stack([truth[wrong], top[wrong]]), axis=1, return_counts=True)
    order = np.argsort(-times, kind="stable")[:10]
    return Confusion(
        labels=tuple(labels[index] for index in shown),
        counts=counts,
        whole=len(shown) == count,
        errors=[(labels[pairs[0, i]], labels[pairs[1, i]], int(times[i])) for i in order],
    )


def per_class(predictions: Predictions) -> list[ClassFigures]:
    """Return precision, recall and F1 of each class."""
    count = len(predictions.labels)
    right = np.bincount(predictions.truth[predictions.truth == predictions.top], minlength=count)
    there = np.bincount(predictions.truth, minlength=count)
    said = np.bincount(predictions.top, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall, f1 = right / said, right / there, 2 * right / (said + there)
    return [
        ClassFigures(
            label=label,
            images=int(there[i]),
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=float(f1[i]),
        )
        for i, label in enumerate(predictions.labels)
    ]


def are_comparable(one: tuple[Point, Predictions], two: tuple[Point, Predictions]) -> bool:
    """Return whether two variants were asked about the same images, as far as recipes and classes tell."""
    return one[1].is_of_the_same_images(two[1]) and _data_of(one[0]) == _data_of(two[0])


def disagreement(first: Predictions, second: Predictions) -> Disagreement:
    """Return the images to which two variants that were asked about the same ones answer differently."""
    differ = first.top != second.top
    one, two = first.top == first.truth, second.top == second.truth
    masks = (differ, differ & one, differ & two, differ & ~one & ~two)
    kinds = {word: np.flatnonzero(mask) for word, mask in zip(KINDS, masks, strict=True)}
    return Disagreement(images=len(first.top), kinds=kinds)


def samples(
    studio: Studio, point: Point, both: tuple[Predictions, Predictions], indices: np.ndarray
) -> tuple[list[Sample], str]:
    """Return images with both answers, and why there are no pictures ("" where there are).

    Args:
        point: whose recipe names the data.
        both: of two variants.
        indices: of the images; the first `SAMPLES` are taken.
    """
    first, second = both
    problem, held = "", None
    try:
        held = _held_out(studio, point, first)
    except (DataError, RecipeError) as error:
        problem = str(error)
    found = []
    for index in (int(i) for i in indices[:SAMPLES]):
        try:
            png = picture(held.images[index]) if held is not None else None
        except DataError as error:
            problem, png = str(error), None
        found.append(
            Sample(
                index=index,
                png=png,
                truth=first.labels[first.truth[index]],
                answers=(first.labels[first.top[index]], second.labels[second.top[index]]),
                scores=(float(first.scores[index]), float(second.scores[index])),
            )
        )
    return found, problem


def _held_out(studio: Studio, point: Point, predictions: Predictions) -> HeldOut:
    spec = parse_recipe(point.run.recipe_yaml).data
    held = held_out(spec, root=studio.settings.data_root)
    if held.labels != predictions.labels or not np.array_equal(held.truth, predictions.truth):
        raise DataError(f"The data set {spec.name} has changed since the run: its images are others now.")
    return held


def _data_of(point: Point) -> object:
    try:
        spec = parse_recipe(point.run.recipe_yaml).data
    except RecipeError:
        return point.run.id  # made by another version: comparable with itself only
    return spec.name, spec.path, spec.test_samples


@lru_cache(maxsize=_FILES_KEPT)
def _read(artifacts: ArtifactFiles, sha256: str) -> Predictions:
    return Predictions.from_bytes(artifacts.read(sha256))

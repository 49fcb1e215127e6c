"""Subsets and splits: always the same images, classes in proportion, a smaller part of a larger one."""

import numpy as np
import pytest

from slimcast.data.subset import amount_of, split, subset
from slimcast.errors import DataError

BALANCED = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 50))
UNEVEN = np.repeat(np.arange(3), [900, 90, 10])


@pytest.mark.parametrize(
    ("wanted", "count", "expected"), [(7, 100, 7), (700, 100, 100), (0.25, 100, 25), (0.001, 100, 1)]
)
def test_a_whole_number_is_a_count_and_a_fraction_a_share(wanted, count, expected):
    assert amount_of(wanted, count) == expected


@pytest.mark.parametrize("wanted", [10, 30, 0.5, 499])
def test_a_subset_of_a_balanced_set_is_balanced(wanted):
    chosen = subset(BALANCED, wanted)
    counts = np.bincount(BALANCED[chosen], minlength=10)
    assert counts.sum() == amount_of(wanted, len(BALANCED))
    assert np.ptp(counts) <= 1
    assert (np.diff(chosen) > 0).all()


def test_a_subset_of_an_uneven_set_keeps_proportions_and_every_class():
    assert np.bincount(UNEVEN[subset(UNEVEN, 100)]) == pytest.approx([90, 9, 1], abs=1)
    assert set(UNEVEN[subset(UNEVEN, 3)]) == {0, 1, 2}


@pytest.mark.parametrize("labels", [BALANCED, UNEVEN])
def test_a_smaller_subset_is_part_of_a_larger_one(labels):
    assert set(subset(labels, 40)) < set(subset(labels, 41)) < set(subset(labels, 300))


def test_all_is_all():
    assert np.array_equal(subset(UNEVEN, None), np.arange(len(UNEVEN)))
    assert np.array_equal(subset(UNEVEN, 5000), np.arange(len(UNEVEN)))


@pytest.mark.parametrize("wanted", [0.1, 37, 1])
@pytest.mark.parametrize("labels", [BALANCED, UNEVEN])
def test_a_split_loses_and_doubles_nothing(labels, wanted):
    kept, held = split(labels, wanted)
    assert np.array_equal(np.sort(np.r_[kept, held]), np.arange(len(labels)))
    assert len(held) == amount_of(wanted, len(labels))
    assert set(labels[kept]) == set(labels)


def test_a_split_holds_back_each_class_in_proportion():
    _, held = split(BALANCED, 0.2)
    assert np.array_equal(np.bincount(BALANCED[held]), np.full(10, 10))


def test_as_many_as_possible_are_held_back_and_no_more():
    kept, _ = split(UNEVEN, 997)
    assert sorted(UNEVEN[kept]) == [0, 1, 2]
    with pytest.raises(DataError, match="998 of 1000 images cannot be held back"):
        split(UNEVEN, 998)

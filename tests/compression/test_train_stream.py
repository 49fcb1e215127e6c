"""Images that stay on the disk: read ahead by threads, in a fixed order; no thread outlives its training."""

import dataclasses
import threading
from contextlib import closing

import numpy as np
import pytest
import torch

from slimcast.errors import Cancelled, DataError
from slimcast.models.build import build
from slimcast.reporting import SilentReporter
from slimcast.train.batches import Batches, read_ahead
from slimcast.train.fit import fit, logits_of
from slimcast.train.plan import TrainingPlan
from support_engine import LENET, RecordingReporter, digits, trained_lenet

CPU = torch.device("cpu")


class OnDisk:
    """Gives parts of an array, as a set on the disk does; the request with the number `broken` fails."""

    def __init__(self, images, broken=None):
        self._images, self._broken = images, broken
        self.shape = images.shape
        self.requests, self.threads = 0, set()

    def __len__(self):
        return len(self._images)

    def __getitem__(self, chosen):
        self.requests += 1
        self.threads.add(threading.current_thread().name)
        if self.requests == self._broken:
            raise DataError("cat.jpg is cut off.")
        return self._images[chosen]


def _on_disk(broken=None):
    data = digits()
    return dataclasses.replace(
        data, train_images=OnDisk(data.train_images, broken), test_images=OnDisk(data.test_images)
    )


def _readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-images")]


def test_what_is_streamed_trains_as_what_is_in_memory():
    plan = TrainingPlan(epochs=1, batch_size=64, seed=3)
    models = []
    for data in (digits(), _on_disk()):
        models.append(build(LENET))
        fit(models[-1], data, plan, reporter=SilentReporter())
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not _readers()


def test_only_what_is_trained_on_is_read_and_never_by_the_thread_that_trains():
    data = _on_disk()
    batches = Batches(data, TrainingPlan(epochs=1, batch_size=32), CPU)
    assert len(list(batches.take(5, lambda: None))) == 5
    assert data.train_images.requests == 5
    assert threading.main_thread().name not in data.train_images.threads


def test_reading_keeps_a_few_batches_ahead_and_no_more():
    data = _on_disk()
    with closing(Batches(data, TrainingPlan(epochs=9, batch_size=8), CPU).take(100, lambda: None)) as batches:
        for _ in range(10):
            next(batches)
        assert 10 <= data.train_images.requests <= 14
    assert not _readers()


def test_streamed_images_get_the_answers_of_those_in_memory():
    data = _on_disk()
    wanted = logits_of(trained_lenet(), digits().test_images, digits(), reporter=SilentReporter())
    found = logits_of(trained_lenet(), data.test_images, data, reporter=SilentReporter())
    np.testing.assert_array_equal(found, wanted)


def test_an_unreadable_image_ends_the_training_with_its_own_error():
    with pytest.raises(DataError, match=r"cat\.jpg"):
        fit(
            build(LENET), _on_disk(broken=4), TrainingPlan(epochs=1, batch_size=64), reporter=SilentReporter()
        )
    assert not _readers()


def test_a_cancel_is_heard_while_a_batch_is_waited_for():
    opened = threading.Event()

    def slow():
        assert opened.wait(30)
        return np.zeros(1)

    def check():
        opened.set()  # so that the pool can end
        raise Cancelled("Cancelled by the test.")

    with pytest.raises(Cancelled):
        next(read_ahead(((index, slow) for index in range(9)), check))
    assert not _readers()


def test_a_cancelled_training_leaves_no_thread_behind():
    class CancelLater(RecordingReporter):
        def check_cancelled(self):
            if self.points:
                raise Cancelled("Cancelled by the test.")

    with pytest.raises(Cancelled):
        fit(build(LENET), _on_disk(), TrainingPlan(epochs=2, batch_size=16), reporter=CancelLater())
    assert not _readers()

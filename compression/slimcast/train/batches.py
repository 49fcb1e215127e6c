"""Batches of a data set: from memory, or read from the disk by threads, ahead of their use."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from slimcast.data.images import ImageData
from slimcast.train.augment import Augmenter
from slimcast.train.normalise import Normaliser
from slimcast.train.plan import TrainingPlan

Key = TypeVar("Key")
_READERS = 2  # a set on disk decodes each batch in threads of its own
_AHEAD = 3
_POLL_S = 0.25
_GPU_SHARE = 0.25  # of the free memory of a GPU: what a whole data set may take there


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch to learn from.

    Attributes:
        images: normalised float32, (B, C, H, W). labels: int64, (B,).
        others: labels of the images that were blended in, or None. share: what is left of the first ones.
    """

    images: Tensor
    labels: Tensor
    others: Tensor | None = None
    share: float = 1.0


class Batches:
    """Shuffled, augmented batches; the same seed gives the same ones, in the same order."""

    def __init__(self, data: ImageData, plan: TrainingPlan, device: torch.device) -> None:
        self._device, self._data, self._seed = device, data, plan.seed
        self._labels = torch.from_numpy(np.asarray(data.train_labels, np.int64))
        self._normalise = Normaliser(data, device)
        self._size = min(plan.batch_size, len(self._labels))
        self._mixup = plan.augmentation.mixup
        self._mixing = np.random.default_rng(plan.seed)
        self._augment = Augmenter(
            plan.augmentation,
            mirrors=data.flips,
            mean=data.mean,
            generator=torch.Generator().manual_seed(plan.seed + 1),
        )
        self.per_epoch = max(1, len(self._labels) // self._size)

    def take(self, count: int, check: Callable[[], None]) -> Generator[Batch, None, None]:
        """Yield `count` batches. Close the iterator when you stop early: that ends its threads.

        Args:
            count: how many.
            check: called while a batch is waited for; what it raises ends the waiting.
        """
        keys = islice(self._orders(), count)
        if in_memory(self._data.train_images):
            whole = _resident(self._data.train_images, self._device)
            for key in keys:
                chosen = key.to(whole.device, non_blocking=True)
                yield self._finish(whole.index_select(0, chosen), self._labels[key])
            return
        images = self._data.train_images
        read = ((key, lambda key=key: images[key.numpy()]) for key in keys)
        with closing(read_ahead(read, check)) as ahead:
            for key, pixels in ahead:
                yield self._finish(to_device(pixels, self._device), self._labels[key])

    def _orders(self) -> Iterator[Tensor]:
        """Yield the indices of each batch; what is left at the end of an epoch waits for another order."""
        generator = torch.Generator().manual_seed(self._seed)
        while True:
            order = torch.randperm(len(self._labels), generator=generator)
            for start in range(0, len(order) - self._size + 1, self._size):
                yield order[start : start + self._size]

    def _finish(self, images: Tensor, labels: Tensor) -> Batch:
        images = images.to(self._device, non_blocking=True)
        labels = labels.to(self._device, non_blocking=True)
        normalised = self._normalise(self._augment(images))
        if not self._mixup:
            return Batch(images=normalised, labels=labels)
        share = float(self._mixing.beta(self._mixup, self._mixup))
        # The batch is in random order already: its reverse is as good a partner as any.
        mixed = torch.lerp(normalised.flip(0), normalised, share)
        return Batch(
            images=mixed.contiguous(memory_format=torch.channels_last),
            labels=labels,
            others=labels.flip(0),
            share=share,
        )


def in_memory(images: Any) -> bool:
    """Return whether these are a plain array; anything else decodes what it is asked for."""
    return type(images) is np.ndarray


def to_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Return uint8 images as a tensor on the device, through page-locked memory where that is a GPU."""
    images = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    if device.type == "cuda":
        images = images.pin_memory()
    return images.to(device, non_blocking=True)


def read_ahead(
    requests: Iterable[tuple[Key, Callable[[], np.ndarray]]], check: Callable[[], None]
) -> Generator[tuple[Key, np.ndarray], None, None]:
    """Run the requests in threads, a few ahead of what is asked for, and yield (key, result) in their order.

    Threads are enough: decoders let go of Python's lock. Closing the iterator, or an error, ends them.
    """
    waiting: deque[tuple[Key, Future[np.ndarray]]] = deque()
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read-images")
    try:
        for key, request in requests:
            waiting.append((key, pool.submit(request)))
            if len(waiting) > _AHEAD:
                first, future = waiting.popleft()
                yield first, _result(future, check)
        while waiting:
            first, future = waiting.popleft()
            yield first, _result(future, check)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[np.ndarray], check: Callable[[], None]) -> np.ndarray:
    while True:
        try:
            return future.result(timeout=_POLL_S)
        except TimeoutError:
            if future.done():  # the reader's own time limit, not ours
                raise
            check()


def _resident(images: np.ndarray, device: torch.device) -> Tensor:
    """Return the whole set as one tensor: on the GPU where it takes but a small part of its memory."""
    whole = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    if device.type == "cuda" and whole.nbytes < _GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        return whole.to(device)
    return whole

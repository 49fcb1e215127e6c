"""What stays the same during a run, and the models that it starts from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from slimcast.catalog import MODELS
from slimcast.data.images import ImageData
from slimcast.data.load import image_size_for, load_data
from slimcast.errors import ModelError
from slimcast.measure.clock import Clocks
from slimcast.measure.cost import count_parameters
from slimcast.models.build import NetworkSpec, build
from slimcast.models.state import load_state
from slimcast.pipeline.beginning import first_network
from slimcast.recipe import Recipe
from slimcast.records import Checkpoint, Run, Table, Variant
from slimcast.reporting import Reporter
from slimcast.settings import Settings
from slimcast.train.optimize import SGD_RATE_FACTOR

_SMALL_PARAMETERS = 200_000


class RunStore(Protocol):
    """What the pipeline asks of the store."""

    artifacts: Any

    def run(self, id_or_prefix: str) -> Run:
        """Return a run by its id, or by the beginning of it."""

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Return the run's checkpoints."""

    def variants(self, run_id: str) -> list[Variant]:
        """Return the run's variants."""

    def tables(self, run_id: str) -> list[Table]:
        """Return the run's tables."""

    def save_table(self, run_id: str, table: Table) -> None:
        """Keep a table; it replaces the one of its name."""

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""

    def save_variant(self, variant: Variant) -> None:
        """Keep a variant."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that stays the same during a run.

    Attributes:
        cache_folder: for what may be lost; None: keep nothing.
        clocks: finds devices that measure for a run; None: there are none.

    """

    recipe: Recipe
    run_id: str
    store: RunStore
    data: ImageData
    network: NetworkSpec
    threads: int
    cache_folder: Path | None = None
    weights_root: Path = Path()
    clocks: Clocks | None = None

    @property
    def example(self) -> torch.Tensor:
        """One image of the network's size, all zero, (1, C, H, W)."""
        side = self.network.image_size
        return torch.zeros(1, self.network.channels, side, side)

    def learning_rate(self, optimizer: str, *, share: float = 1.0) -> float:
        """Return the rate of a training that names none: a share of the network's own from scratch."""
        rate = MODELS[self.recipe.model.name].learning_rate * share
        return rate * SGD_RATE_FACTOR if optimizer == "sgd" else rate

    def seed(self, step: int, part: int = 0) -> int:
        """Return the seed of a step, or of one of several trainings within it."""
        return (self.recipe.seed * 1_000_003 + step * 1_009 + part) % 2**31


def prepare(
    recipe: Recipe, run_id: str, store: RunStore, settings: Settings, *, reporter: Reporter | None = None
) -> Job:
    """Load the data and choose the number of threads.

    Raises:
        Cancelled: somebody cancelled the run meanwhile.
        DataError: the data are missing or damaged.
        ModelError: the network cannot be built for such images.
    """
    size = image_size_for(recipe.model.name, recipe.data.name, recipe.data.image_size)
    if size < MODELS[recipe.model.name].smallest:  # said here, before a large set is loaded
        build(NetworkSpec(model=recipe.model.name, classes=1, channels=1, image_size=size))
    data = load_data(recipe.data, root=settings.data_root, image_size=size, reporter=reporter)
    network = NetworkSpec(
        model=recipe.model.name, classes=len(data.labels), channels=data.channels, image_size=size
    )
    return Job(
        recipe=recipe,
        run_id=run_id,
        store=store,
        data=data,
        network=network,
        threads=_threads_for(network),
        cache_folder=settings.home / "cache",
        weights_root=settings.weights_root,
    )


def _threads_for(network: NetworkSpec) -> int:
    """Return how many threads to train with, and let torch use them.

    A small network spends more time on waiting for its threads than on computing, and on a busy machine
    many times
    more.
    """
    cores = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    threads = 1 if count_parameters(build(network)) < _SMALL_PARAMETERS else cores
    torch.set_num_threads(threads)
    return threads


def initial(job: Job, reporter: Reporter | None = None) -> nn.Module:
    """Return the network that the recipe begins with.

    Raises:
        ModelError: its weights cannot be had, or are of another network.
        RunNotFound: they are to come from a run that does not exist.
    """
    return first_network(
        job.network,
        job.recipe.model.weights,
        seed=job.recipe.seed,
        store=job.store,
        root=job.weights_root,
        log=reporter.log if reporter is not None else lambda _text: None,
    )


def restore(job: Job, step: int) -> nn.Module:
    """Return the network as a finished step has left it."""
    checkpoint = next(item for item in job.store.checkpoints(job.run_id) if item.step == step)
    model, network = load_state(job.store.artifacts.local_path(checkpoint.file))
    if network != job.network:
        raise ModelError(f"The checkpoint of step {step} is of {network}, the recipe asks for {job.network}.")
    return model


def baseline(job: Job, index: int) -> nn.Module:
    """Return the network before anything was compressed: after the recipe's leading `train` steps."""
    trained = 0
    while trained < index and job.recipe.steps[trained].kind == "train":
        trained += 1
    return restore(job, trained - 1) if trained else initial(job)

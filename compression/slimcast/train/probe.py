"""Which of the ways to compute a training step is fastest here: a few real steps of each."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from slimcast.reporting import Reporter
from slimcast.train.memory import keep_freed_memory
from slimcast.train.modes import train_mode
from slimcast.train.precision import Precision

_ROUNDS = 4  # the first one warms up
_MOST_SECONDS = 10.0
_BATCH = 32  # the ways keep their order with larger batches
MARGIN = 1.15
"""How much faster than the rule's choice another way must be. Less than that changes from day to day."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a probe has found: the way to compute, and how fast each was, in images a second."""

    precision: Precision
    images_per_s: dict[Precision, float]

    def describe(self) -> str:
        """Say it in a line, the fastest first."""
        ordered = sorted(self.images_per_s.items(), key=lambda item: -item[1])
        return "; ".join(f"{precision.describe()} {speed:,.0f} images/s" for precision, speed in ordered)


def probe(
    model: nn.Module,
    shape: tuple[int, int, int],
    *,
    batch_size: int,
    device: torch.device,
    rule: Precision,
    reporter: Reporter,
) -> Probe:
    """Time training steps of a copy of the network, and say which way to compute is best.

    The ways take turns, and the best time of each counts, so that a busy moment does not hit one of them
    alone. The rule's choice stays unless another way is faster by `MARGIN`.

    Args:
        model: is left as it is.
        shape: of an image, (C, H, W).
        batch_size: of the training; the probe uses at most 32.
        device: to compute on.
        rule: what to choose in doubt.
        reporter: is asked whether the run was cancelled.

    Raises:
        Cancelled: somebody cancelled the run.
    """
    keep_freed_memory()
    ways = _ways(rule)
    best = dict.fromkeys(ways, float("inf"))
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        steps = {way: _steps(model, shape, min(batch_size, _BATCH), device, way) for way in ways}
        for turn in range(_ROUNDS):
            for way in ways:
                reporter.check_cancelled()
                seconds = next(steps[way])
                if turn:
                    best[way] = min(best[way], seconds)
            if turn and time.perf_counter() - started > _MOST_SECONDS:
                break
    speeds = {way: min(batch_size, _BATCH) / seconds for way, seconds in best.items()}
    return Probe(precision=decide(speeds, rule), images_per_s=speeds)


def decide(images_per_s: dict[Precision, float], rule: Precision) -> Precision:
    """Return the fastest way if it is clearly faster than the rule's, else the rule's."""
    fastest = max(images_per_s, key=lambda way: images_per_s[way])
    return fastest if images_per_s[fastest] > MARGIN * images_per_s[rule] else rule


def _ways(rule: Precision) -> list[Precision]:
    ways = [
        Precision(bfloat16=False, channels_last=False),
        Precision(bfloat16=False, channels_last=True),
        Precision(bfloat16=True, channels_last=True),
    ]
    return ways if rule in ways else [*ways, rule]


def _steps(
    model: nn.Module, shape: tuple[int, int, int], size: int, device: torch.device, way: Precision
) -> Iterator[float]:
    """Yield the seconds of one training step after the other."""
    network = copy.deepcopy(model).to(device)
    if way.channels_last:
        network.to(memory_format=torch.channels_last)
    train_mode(network)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, *shape, generator=generator).to(device, memory_format=torch.channels_last)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, nesterov=True, foreach=True)
    while True:
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=way.bfloat16):
            logits = network(images)
        loss = F.cross_entropy(logits.float(), torch.zeros(size, dtype=torch.int64, device=device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        yield time.perf_counter() - started

"""How a job's trainings compute: probed once for each network on each machine, and remembered.

A probe decides by the clock, and a clock does not say the same twice. So the first decision is kept in
``precision.json`` in the cache folder of SLIMCAST_HOME, for the machine, its threads, torch, the network and
the batch size: all later runs there, and a run that is resumed, compute in the same way and give the same
weights. Networks that were pruned keep the decision of the whole one. Delete the file to probe again.
"""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from slimcast.measure.cost import count_macs
from slimcast.pipeline.job import Job
from slimcast.reporting import Reporter
from slimcast.train.evaluate import default_device
from slimcast.train.precision import SMALL_MACS, Precision, choose
from slimcast.train.probe import probe
from slimcast_edge.bench import describe_machine
from slimcast_edge.durable import write_whole

Numbers = Literal["auto", "float32", "bfloat16"]


def precision_for(
    job: Job,
    model: nn.Module,
    *,
    batch_size: int,
    reporter: Reporter,
    numbers: Numbers = "auto",
    channels_last: bool | None = None,
) -> Precision:
    """Return how to compute: as the recipe says, else as probed here.

    Args:
        job: the run.
        model: what is to be trained.
        batch_size: of the training.
        reporter: is told what a probe has found.
        numbers, channels_last: what the recipe asks for; ``auto`` and None leave it open.

    Raises:
        Cancelled: somebody cancelled the run.
    """
    if numbers != "auto" and channels_last is not None:
        return Precision(bfloat16=numbers == "bfloat16", channels_last=channels_last)
    found = _remembered_or_probed(job, model, batch_size, reporter)
    if numbers != "auto":
        found = replace(found, bfloat16=numbers == "bfloat16")
    return found if channels_last is None else replace(found, channels_last=channels_last)


def _remembered_or_probed(job: Job, model: nn.Module, batch_size: int, reporter: Reporter) -> Precision:
    device, network = default_device(), job.network
    macs = count_macs(model, job.example)
    rule = choose(model, device, macs=macs)
    file = job.cache_folder / "precision.json" if job.cache_folder else None
    key = _key(job, batch_size, device)
    if file is not None and (known := _read(file).get(key)) is not None:
        return known
    small = macs < SMALL_MACS and device.type == "cpu"
    if small or not any(p.requires_grad for p in model.parameters()):
        return rule  # nothing to gain, and nothing to remember: the rule does not change its mind
    started = time.perf_counter()
    reporter.progress(0.0, "Probing how to compute")
    shape = (network.channels, network.image_size, network.image_size)
    found = probe(model, shape, batch_size=batch_size, device=device, rule=rule, reporter=reporter)
    reporter.log(
        f"Probed for {time.perf_counter() - started:.1f} s how to train {network.model} on this machine, and "
        f"chose {found.precision.describe()}: {found.describe()}"
    )
    return _remember(file, key, found.precision) if file is not None else found.precision


def _key(job: Job, batch_size: int, device: torch.device) -> str:
    network = job.network
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else describe_machine()
    return (
        f"{network.model}, {network.classes} classes, {network.channels}x{network.image_size}x"
        f"{network.image_size}, batch {batch_size}; {where}, {torch.get_num_threads()} threads; "
        f"torch {torch.__version__}"
    )


def _read(file: Path) -> dict[str, Precision]:
    try:
        return {key: Precision(**value) for key, value in json.loads(file.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # no file yet, or a damaged one: it is only a cache


def _remember(file: Path, key: str, precision: Precision) -> Precision:
    """Keep a decision, unless another job has just made one: then that one counts."""
    known = _read(file)
    if key in known:
        return known[key]
    known[key] = precision
    text = json.dumps({name: asdict(value) for name, value in sorted(known.items())}, indent=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, f"{text}\n".encode())
    return precision

"""The network that a run begins with: from its seed, from a file, from ImageNet, or from another run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slimcast.errors import ModelError
from slimcast.models.build import NetworkSpec, build
from slimcast.models.head import with_classes
from slimcast.models.state import load_state
from slimcast.models.weights import Log, find_file, load_imagenet, load_pretrained

_RUN = "run:"


def first_network(
    network: NetworkSpec, weights: str, *, seed: int, store: Any, root: Path, log: Log
) -> nn.Module:
    """Return the network with its first weights.

    Args:
        network: what to build.
        weights: as in a recipe: ``none``, ``imagenet``, ``run:ID`` or a safetensors file.
        seed: of random weights, and of a head that starts anew.
        store: has the other runs.
        root: folder of pretrained weights.
        log: is told what was loaded, and what was not.

    Raises:
        ModelError: the weights cannot be had, or are of another network.
        RunNotFound: there is no such run.
    """
    if weights.startswith(_RUN):
        return _of_run(network, weights.removeprefix(_RUN), seed, store, log)
    model = build(network, seed=seed)
    if weights == "none":
        return model
    if weights == "imagenet":
        return load_imagenet(model, network, root, log)
    load_pretrained(model, find_file(weights, root), log)
    return model


def _of_run(network: NetworkSpec, run_id: str, seed: int, store: Any, log: Log) -> nn.Module:
    run = store.run(run_id)
    kept = store.checkpoints(run.id)
    if not kept:
        raise ModelError(
            f"Run {run.id} is {run.state} and has left no weights: none of its steps has finished."
        )
    last = max(kept, key=lambda checkpoint: checkpoint.step)
    model, other = load_state(store.artifacts.local_path(last.file), in_float=True)
    if replace(other, classes=network.classes) != network:
        raise ModelError(f"Run {run.id} is of {_describe(other)}; this recipe asks for {_describe(network)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        anew = with_classes(model, network.classes)
    head = f"; its head starts anew, from {other.classes} to {network.classes} classes" if anew else ""
    log(f"Weights of run {run.id} after its step {last.step}: loaded{head}")
    return model.eval()


def _describe(network: NetworkSpec) -> str:
    side = network.image_size
    return f"{network.model} for images of {network.channels} x {side} x {side}"

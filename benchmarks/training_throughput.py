"""How fast training is: our loop against a plain torchvision DataLoader loop, ResNet-20 on CIFAR-10.

Run: SLIMCAST_DATA_ROOT=... python benchmarks/training_throughput.py [--json]

The plain loop is the one of common tutorials: a Dataset of PIL images, RandomCrop, RandomHorizontalFlip,
ToTensor and Normalize for one image at a time, a DataLoader with two workers, float32, SGD. Ours does the
same work: the same images, network, batch size, crops, flips and optimizer, but on whole batches, computing
as the probe has chosen. Both run in this process, in turns; the best turn of each counts, since on a busy
machine the others only measure who else was running. Workers are started, and the first batches of each turn
run, before the clock does.
"""

import argparse
import json
import os
import statistics
import time

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from slimcast.data.images import ImageData
from slimcast.data.load import load_data
from slimcast.measure.cost import count_macs
from slimcast.models.build import NetworkSpec, build
from slimcast.recipe import DataSpec
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from slimcast.train.evaluate import default_device
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import choose
from slimcast.train.probe import probe
from slimcast_edge.bench import describe_machine

BATCH = 128
WARM_UP = 3
NETWORK = NetworkSpec(model="resnet20", classes=10, channels=3, image_size=32)


class Images(Dataset):
    """One image at a time, as torchvision's CIFAR10 gives them."""

    def __init__(self, data: ImageData) -> None:
        self._images, self._labels = data.train_images, data.train_labels
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean, data.std),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int):
        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def plain(data, batches, device):
    """Return images a second of the plain loop over some batches."""
    model = build(NETWORK).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loader = DataLoader(Images(data), batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    clock = Clock(device)
    source = iter(loader)
    for images, labels in source:
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clock.batch_done() == WARM_UP + batches:
            break
    source._shutdown_workers()
    return clock.images_per_s()


class Clock:
    """Counts batches, and the time from the last one of the warm-up on."""

    def __init__(self, device) -> None:
        self._device, self._ends = device, []

    def batch_done(self) -> int:
        """Return how many batches are done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        self._ends.append(time.perf_counter())
        return len(self._ends)

    def images_per_s(self) -> float:
        """Return images a second after the warm-up."""
        return BATCH * (len(self._ends) - WARM_UP) / (self._ends[-1] - self._ends[WARM_UP - 1])


class _Enough(Exception):
    """So many batches are enough."""


def ours(data, batches, device, precision):
    """Return images a second of `slimcast.train.fit` over some batches."""
    clock = Clock(device)

    def count(_model: nn.Module) -> None:
        if clock.batch_done() == WARM_UP + batches:
            raise _Enough

    plan = TrainingPlan(epochs=1, batch_size=BATCH, optimizer="sgd", learning_rate=0.05, precision=precision)
    try:
        fit(build(NETWORK), data, plan, reporter=SilentReporter(), after_step=count)
    except _Enough:
        return clock.images_per_s()
    raise SystemExit(f"The data set has fewer than {batches + WARM_UP} batches.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batches", type=int, default=25, help="counted in each turn (default: 25)")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each loop (default: 4)")
    arguments = parser.parse_args()
    data = load_data(DataSpec(name="cifar10"), root=Settings.from_environment().data_root)
    device = default_device()
    model = build(NETWORK)
    rule = choose(model, device, macs=count_macs(model, torch.zeros(1, 3, 32, 32)))
    found = probe(model, (3, 32, 32), batch_size=BATCH, device=device, rule=rule, reporter=SilentReporter())
    speeds = {"ours": [], "plain": []}
    for _ in range(arguments.rounds):
        speeds["plain"].append(plain(data, arguments.batches, device))
        speeds["ours"].append(ours(data, arguments.batches, device, found.precision))
    report = {
        "machine": describe_machine(),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "load_1m": os.getloadavg()[0],
        "torch": torch.__version__,
        "ours_computes_in": found.precision.describe(),
        "plain_images_per_s": max(speeds["plain"]),
        "ours_images_per_s": max(speeds["ours"]),
        "ratio": max(speeds["ours"]) / max(speeds["plain"]),
        "ratio_of_medians": statistics.median(speeds["ours"]) / statistics.median(speeds["plain"]),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"ResNet-20, CIFAR-10, batch {BATCH}, {report['machine']}, {report['threads']} threads")
    print(f"plain DataLoader loop, float32          {report['plain_images_per_s']:8.0f} images/s")
    print(f"ours, {found.precision.describe():33} {report['ours_images_per_s']:8.0f} images/s")
    print(f"ratio {report['ratio']:.2f} (of the medians of {arguments.rounds} turns: "
          f"{report['ratio_of_medians']:.2f}); aim: at least 2")  # fmt: skip


if __name__ == "__main__":
    main()

"""The step `sensitivity`, and what a later `prune` takes from it."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from slimcast.data.choice import images_for_choice
from slimcast.errors import StepError
from slimcast.pipeline.criterion_samples import criterion_samples
from slimcast.pipeline.job import Job
from slimcast.prune.evidence import Evidence
from slimcast.prune.sensitivity import Finding, SensitivityPlan, sensitivity, tolerated
from slimcast.recipe import SensitivityStep
from slimcast.records import Cell, Table
from slimcast.reporting import ScaledReporter
from slimcast.train.evaluate import accuracy_on, default_device

_COLUMNS = ("group", "layers", "ratio", "channels", "accuracy", "macs")
_EPOCHS = 1.0  # what it costs, in the time of an epoch; more with more layers


def epochs_of(_step: SensitivityStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _EPOCHS


def run_sensitivity(
    job: Job, index: int, step: SensitivityStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the network as it is; what was found out is a table of the run."""
    images, labels = _some(*images_for_choice(job.data), step.images)
    device = default_device()

    def evaluate(network: nn.Module) -> float:
        share = accuracy_on(network.to(device), images, labels, job.data, device=device, reporter=reporter)
        network.to("cpu")
        return share

    name = f"{index}-sensitivity"
    seed = job.seed(index)
    samples = criterion_samples(job, step.criterion, images=step.criterion_images, seed=seed)
    findings = sensitivity(
        model,
        job.example,
        SensitivityPlan(ratios=step.ratios, keep=step.keep),
        criterion=step.criterion,
        evidence=Evidence(model=model, samples=samples, seed=seed),
        evaluate=evaluate,
        reporter=reporter,
        told=lambda found: reporter.table(name, _COLUMNS, [_row(one) for one in found]),
    )
    job.store.save_table(
        job.run_id, Table(name=name, columns=_COLUMNS, rows=tuple(_row(one) for one in findings))
    )
    _tell(findings, len(labels), reporter)
    return model


def ratios_from_sensitivity(job: Job, index: int, max_drop: float) -> Mapping[str, float]:
    """Return how far each group may be pruned, by its name, after the last `sensitivity` before a step.

    Raises:
        StepError: its table is not there, or every ratio costs more than `max_drop`.
    """
    steps = [i for i, step in enumerate(job.recipe.steps[:index]) if step.kind == "sensitivity"]
    name = f"{steps[-1]}-sensitivity" if steps else ""
    table = next((one for one in job.store.tables(job.run_id) if one.name == name), None)
    if table is None:
        raise StepError(
            "There is no table of sensitivity to take ratios from: run the step 'sensitivity' first."
        )
    found = tolerated([_finding(dict(zip(table.columns, row, strict=True))) for row in table.rows], max_drop)
    if not any(found.values()):
        raise StepError(
            f"Every group loses more than max_drop ({max_drop:g}) at the smallest ratio that was tried. "
            "Raise max_drop, or give the step 'sensitivity' smaller ratios."
        )
    return found


def _some(images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` of them, evenly spread: neighbours may be of the same class."""
    if len(labels) <= count:
        return images, labels
    chosen = np.linspace(0, len(labels) - 1, count).round().astype(np.int64)
    return images[chosen], labels[chosen]


def _row(one: Finding) -> tuple[Cell, ...]:
    return (one.group, ", ".join(one.layers), one.ratio, one.channels, one.accuracy, one.macs)


def _finding(row: Mapping[str, Cell]) -> Finding:
    return Finding(
        group=str(row["group"]),
        layers=tuple(str(row["layers"]).split(", ")),
        ratio=float(row["ratio"] or 0),
        channels=int(row["channels"] or 0),
        accuracy=float(row["accuracy"] or 0),
        macs=int(row["macs"] or 0),
    )


def _tell(findings: Sequence[Finding], images: int, reporter: ScaledReporter) -> None:
    whole = findings[0].accuracy
    largest = max(one.ratio for one in findings)
    last = {one.group: whole - one.accuracy for one in findings if one.ratio == largest}
    order = sorted(last, key=lambda group: last[group])
    reporter.log(
        f"Sensitivity of {len(last)} groups on {images} images ({whole:.2%} with none pruned): with "
        f"{largest:.0%} of its channels removed, {order[0]} costs least ({100 * last[order[0]]:.1f} points), "
        f"{order[-1]} most ({100 * last[order[-1]]:.1f} points)"
    )

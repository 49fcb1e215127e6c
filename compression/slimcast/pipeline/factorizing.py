"""The step `factorize`."""

from torch import nn

from slimcast.measure.cost import count_macs, count_parameters
from slimcast.pipeline.job import Job
from slimcast.prune.low_rank import FactorPlan, factorize
from slimcast.prune.low_rank_svd import RankRule
from slimcast.recipe import FactorizeStep
from slimcast.records import Table
from slimcast.reporting import ScaledReporter

_EPOCHS = 0.2  # what it costs, in the time of an epoch


def epochs_of(_step: FactorizeStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _EPOCHS


def run_factorizing(
    job: Job, index: int, step: FactorizeStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the network with factors in the place of layers."""
    rule = RankRule(energy=step.energy_kept, share=step.rank, round_to=step.round_to)
    plan = FactorPlan(method=step.method, rule=rule, layers=step.layers, keep=step.keep)
    factorized, layers = factorize(model, job.example, plan, reporter=reporter)
    reporter.log(
        f"Factorized {len(layers)} layers: from {count_macs(model, job.example):,} to "
        f"{count_macs(factorized, job.example):,} multiply-accumulates, "
        f"from {count_parameters(model):,} to {count_parameters(factorized):,} parameters"
    )
    rows = tuple(
        (one.name, " x ".join(map(str, one.ranks)), one.energy, one.macs_before, one.macs) for one in layers
    )
    columns = ("layer", "rank", "energy", "macs_before", "macs")
    job.store.save_table(job.run_id, Table(name=f"{index}-factors", columns=columns, rows=rows))
    return factorized

"""Structured pruning with Torch-Pruning: whole channels, with everything that depends on them."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from slimcast.catalog import CRITERIA
from slimcast.errors import StepError
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.reporting import Reporter

_CLOSE_ENOUGH = 0.01  # of the original MACs: stop looking for a better ratio
_TOLERANCE = 0.05  # of the target, above it
_TRIALS = 9


@dataclass(frozen=True, kw_only=True)
class PruneReport:
    """Multiply-accumulates and parameters before and after."""

    macs_before: int
    macs: int
    parameters_before: int
    parameters: int


def prune(
    model: nn.Module,
    example: Tensor,
    *,
    criterion: str,
    macs: float,
    rounds: int,
    round_to: int,
    reporter: Reporter,
    after_round: Callable[[nn.Module, int], None] | None = None,
) -> tuple[nn.Module, PruneReport]:
    """Return a network with the fraction `macs` of the multiply-accumulates, and what has become of them.

    Args:
        model: is left as it is.
        example: one normalised image, (1, C, H, W).
        criterion: name in the catalog.
        rounds: cut in so many parts, each by the same factor.
        round_to: channel counts become multiples of this.
        after_round: trains the network in place after each round but the last.

    Raises:
        StepError: the target cannot be met, or nothing was cut.
        Cancelled: somebody cancelled the run.
    """
    importance = CRITERIA[criterion].load()
    before, parameters_before = count_macs(model, example), count_parameters(model)
    for round_index in range(rounds):
        wanted = before * macs ** ((round_index + 1) / rounds)
        reporter.progress(round_index / rounds, f"Pruning, round {round_index + 1} of {rounds}")
        model = _cut_to(model, example, importance, wanted=wanted, round_to=round_to, reporter=reporter)
        now = count_macs(model, example)
        reporter.log(
            f"Round {round_index + 1} of {rounds}: {now / before:.1%} of the multiply-accumulates, "
            f"{count_parameters(model) / parameters_before:.1%} of the parameters remain"
        )
        if after_round is not None and round_index + 1 < rounds:
            after_round(model, round_index)
    report = PruneReport(
        macs_before=before,
        macs=count_macs(model, example),
        parameters_before=parameters_before,
        parameters=count_parameters(model),
    )
    _check(report, macs, round_to)
    return model, report


def _cut_to(
    model: nn.Module,
    example: Tensor,
    importance: Callable[[], object],
    *,
    wanted: float,
    round_to: int,
    reporter: Reporter,
) -> nn.Module:
    """Look for the ratio of channels that leaves `wanted` multiply-accumulates, or a little less."""
    now = count_macs(model, example)
    low, high = 0.0, 1.0
    ratio = 1 - (wanted / now) ** 0.5  # MACs fall with the product of two channel counts
    best, best_macs = model, now
    for _ in range(_TRIALS):
        reporter.check_cancelled()
        trial = _cut(model, example, importance(), ratio=ratio, round_to=round_to)
        macs = count_macs(trial, example)
        fits = macs <= wanted * (1 + _TOLERANCE / 2)
        # Before anything fits, smaller is better; from then on, the largest that fits.
        if macs < best_macs if best_macs > wanted * (1 + _TOLERANCE / 2) else fits and macs > best_macs:
            best, best_macs = trial, macs
        if abs(macs - wanted) <= _CLOSE_ENOUGH * now and fits:
            break
        low, high = (low, ratio) if fits else (ratio, high)
        ratio = (low + high) / 2
    return best


def _cut(model: nn.Module, example: Tensor, importance: object, *, ratio: float, round_to: int) -> nn.Module:
    import torch_pruning as tp

    trial = copy.deepcopy(model).eval()
    last = _final_classifier(trial)
    with warnings.catch_warnings():
        # Torch-Pruning warns about its own use of torch; the caller can do nothing about it.
        warnings.simplefilter("ignore")
        pruner = tp.pruner.BasePruner(
            trial,
            example,
            importance=importance,
            pruning_ratio=ratio,
            max_pruning_ratio=0.95,
            round_to=round_to,
            ignored_layers=[last],
            # Fresh ones: the library's defaults are shared by all pruners of a process.
            num_heads={},
            channel_groups={},
            in_channel_groups={},
            out_channel_groups={},
        )
        pruner.step()
    for parameter in trial.parameters():
        parameter.grad = None
    return trial


def _final_classifier(model: nn.Module) -> nn.Module:
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if len(layers) < 2:
        raise StepError("This network has a single layer, its classifier: there is nothing to prune.")
    return layers[-1]


def _check(report: PruneReport, target: float, round_to: int) -> None:
    reached = report.macs / report.macs_before
    if report.macs >= report.macs_before:
        raise StepError(
            f"Pruning cut nothing: no channel count can fall to a lower multiple of {round_to}. "
            "Lower round_to."
        )
    if reached > target * (1 + _TOLERANCE):
        raise StepError(
            f"Pruning left {reached:.1%} of the multiply-accumulates; the target is {target:.1%}. "
            f"Lower round_to (now {round_to}), or raise target.macs."
        )

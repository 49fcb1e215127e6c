"""How much accuracy each group of layers costs when it alone is pruned, without any training.

Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710, section 3.2; here over
dependency groups.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from slimcast.catalog import CRITERIA
from slimcast.errors import StepError
from slimcast.measure.cost import count_macs
from slimcast.prune.evidence import Evidence
from slimcast.prune.groups import ChannelGroup, find_groups, remove
from slimcast.prune.ranking import Candidate, candidate, nearest_width
from slimcast.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class SensitivityPlan:
    """What to try. `ratios`: shares of a group's channels to remove, 0..1. `keep`: layer name patterns."""

    ratios: tuple[float, ...]
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A network of which only one group was pruned.

    Attributes:
        group: its name, see `ChannelGroup`. layers: whose outputs its channels are.
        ratio: that was asked for; 0: nothing was removed. channels: that remain.
        macs: of the whole network, one image.
    """

    group: str
    layers: tuple[str, ...]
    ratio: float
    channels: int
    accuracy: float
    macs: int


def sensitivity(
    model: nn.Module,
    example: Tensor,
    plan: SensitivityPlan,
    *,
    criterion: str,
    evidence: Evidence,
    evaluate: Callable[[nn.Module], float],
    reporter: Reporter,
    told: Callable[[Sequence[Finding]], None] = lambda _findings: None,
) -> list[Finding]:
    """Return what each group costs at each ratio; each group begins with ratio 0, the whole network.

    Args:
        model: is left as it is.
        example: one normalised image, (1, C, H, W).
        criterion: name in the catalog; decides which channels go first.
        evaluate: returns a network's accuracy, 0..1.
        told: is given all there is after each group.

    Raises:
        StepError: no group can be pruned.
        Cancelled: somebody cancelled the run.
    """
    groups = find_groups(model, example, keep=plan.keep)
    scores = CRITERIA[criterion].load()(groups, evidence)
    ranked = [group for group in groups if group.name in scores]
    if not ranked:
        raise StepError(
            f"No group of layers can be pruned by {criterion}: keep fewer, or try another criterion."
        )
    whole, macs = evaluate(model), count_macs(model, example)
    findings: list[Finding] = []
    for index, group in enumerate(ranked):
        reporter.progress(index / len(ranked), f"Sensitivity, {group.name}, {index + 1} of {len(ranked)}")
        choice = candidate(group, scores[group.name], initial=group.channels, round_to=1, max_ratio=1.0)
        known = {group.channels: (whole, macs)}
        for ratio in (0.0, *sorted(plan.ratios)):
            reporter.check_cancelled()
            width = nearest_width(choice, ratio)
            if width not in known:
                trial = _without(model, group, choice, width)
                known[width] = evaluate(trial), count_macs(trial, example)
            findings.append(_finding(group, ratio, width, *known[width]))
        told(findings)
    return findings


def _without(model: nn.Module, group: ChannelGroup, choice: Candidate, width: int) -> nn.Module:
    return remove(model, [group], {group.name: choice.removed(width)})


def _finding(group: ChannelGroup, ratio: float, width: int, accuracy: float, macs: int) -> Finding:
    return Finding(
        group=group.name,
        layers=tuple(group.layers),
        ratio=ratio,
        channels=width,
        accuracy=accuracy,
        macs=macs,
    )


def tolerated(findings: Sequence[Finding], max_drop: float) -> Mapping[str, float]:
    """Return for each group the largest ratio up to which the accuracy falls by `max_drop` at most.

    Accuracy and drop are fractions. Beyond the first ratio that costs more nothing counts, even if it should
    look better again by chance.
    """
    found: dict[str, float] = {}
    stopped: set[str] = set()
    whole = {one.group: one.accuracy for one in findings if one.ratio == 0}
    for one in sorted(findings, key=lambda item: item.ratio):
        if one.accuracy < whole[one.group] - max_drop - 1e-12:
            stopped.add(one.group)
        if one.group not in stopped:
            found[one.group] = one.ratio
        found.setdefault(one.group, 0.0)
    return found

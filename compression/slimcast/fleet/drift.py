"""How far two days' labels are apart: the Jensen-Shannon distance between their shares.

J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37(1),
1991, defines the divergence; with base 2 it lies between 0 and 1. Its square root is a metric: D. M. Endres
and J. E. Schindelin, "A new metric for probability distributions", the same journal, 49(7), 2003.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Two distributions compared.

    Attributes:
        distance: 0 where they are equal, 1 where they have no label in common.
        label: the one whose share has changed most, from `share_before` to `share_now`.
        n_before, n_now: how many answers each rests on.
    """

    distance: float
    label: str
    share_before: float
    share_now: float
    n_before: int
    n_now: int


def compare(before: Mapping[str, int], now: Mapping[str, int]) -> Drift | None:
    """Compare counts of labels; None where one of them is empty."""
    n_before, n_now = sum(before.values()), sum(now.values())
    if not n_before or not n_now:
        return None
    labels = sorted(before.keys() | now.keys())
    shares = {label: (before.get(label, 0) / n_before, now.get(label, 0) / n_now) for label in labels}
    divergence = sum(_part(p, q) + _part(q, p) for p, q in shares.values()) / 2
    most = max(labels, key=lambda label: abs(shares[label][0] - shares[label][1]))
    return Drift(
        distance=math.sqrt(min(1.0, max(0.0, divergence))),
        label=most,
        share_before=shares[most][0],
        share_now=shares[most][1],
        n_before=n_before,
        n_now=n_now,
    )


def _part(p: float, q: float) -> float:
    return p * math.log2(2 * p / (p + q)) if p > 0 else 0.0

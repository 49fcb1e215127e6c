"""What the networks of the catalog cost before anything is done to them; counted, not estimated.

The table beside this file is written by ``benchmarks/network_costs.py``. It needs no torch to be read.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SIDES = (32, 64, 224)
"""Sides of the square input for which networks were counted, pixels."""

TABLE = Path(__file__).with_name("network_costs.json")


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What one image costs.

    Attributes:
        macs: multiply-accumulates of convolutions and linear layers. params: weights and biases of the
            exported network, batch norms folded.
        exact: False where the image size was not counted, and the nearest one stands in for it.
    """

    macs: float
    params: float
    exact: bool


def known_cost(model: str, *, image_size: int, channels: int, classes: int) -> NetworkCost | None:
    """Return a network's cost; None where it is not in the table (timm's, one's own).

    Another image size than those in the table scales the MACs of the nearest one with the area.
    """
    sides = _table().get(model)
    if sides is None:
        return None
    nearest = min(sides, key=lambda side: abs(int(side) - image_size))
    macs, params = (
        base + (channels - 3) * per_channel + (classes - 10) * per_label
        for base, per_channel, per_label in zip(*(sides[nearest][k] for k in _PARTS), strict=True)
    )
    area = (image_size / int(nearest)) ** 2
    return NetworkCost(macs=macs * area, params=params, exact=int(nearest) == image_size)


_PARTS = ("base", "channel", "label")


@cache
def _table() -> dict[str, dict[str, dict[str, list[int]]]]:
    table: dict[str, dict[str, dict[str, list[int]]]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table

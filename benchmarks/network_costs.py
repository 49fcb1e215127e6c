"""Count what every network of the catalog costs, and write the table that the studio estimates by.

Command: python benchmarks/network_costs.py          (no weights are made: torch's meta device)
"""

import json
from typing import Any

import torch

from slimcast.catalog import MODELS
from slimcast.catalog.network_costs import SIDES, TABLE
from slimcast.measure.cost import count_exported_parameters, count_macs


def count(name: str, side: int, channels: int, classes: int) -> tuple[int, int]:
    """Return multiply-accumulates of one image and exported parameters of a network."""
    with torch.device("meta"):
        model = MODELS[name].load()(classes=classes, channels=channels, image_size=side)
        return count_macs(model, torch.zeros(1, channels, side, side)), count_exported_parameters(model)


def costs(name: str, side: int) -> dict[str, list[int]]:
    """Return a network's costs at 3 channels and 10 classes, and what one of either adds."""
    base, grey, wide = count(name, side, 3, 10), count(name, side, 1, 10), count(name, side, 3, 20)
    return {
        "base": list(base),
        "channel": [(b - g) // 2 for b, g in zip(base, grey, strict=True)],
        "label": [(w - b) // 10 for b, w in zip(base, wide, strict=True)],
    }


def main() -> None:
    """Write the table."""
    table: dict[str, Any] = {
        name: {str(side): costs(name, side) for side in SIDES if side >= MODELS[name].smallest}
        for name in MODELS.names()
    }
    TABLE.write_text(
        json.dumps(table, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8"
    )
    print(f"{len(table)} networks at {len(SIDES)} sizes: {TABLE}")


if __name__ == "__main__":
    main()

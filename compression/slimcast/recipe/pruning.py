"""Steps that remove parts of a network."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.part import Part


class PruneTarget(Part):
    """What remains, as a fraction: ``macs: 0.4`` keeps 40 % of the multiply-accumulates."""

    macs: float = Field(gt=0, lt=1)


class PruneStep(Part):
    """Remove whole channels with everything that depends on them."""

    kind: Literal["prune"]
    method: Literal["structured"] = "structured"
    criterion: str = "l2"
    target: PruneTarget
    rounds: int = Field(default=1, ge=1, le=50)
    finetune_epochs: float = Field(default=0, ge=0, le=100, description="Training between rounds, in epochs.")
    round_to: int = Field(default=8, ge=1, le=64, description="Channel counts become multiples of this.")

"""The step that sets single weights to zero."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from slimcast.recipe.part import Part

_LARGEST_GROUP = 64
Share = Annotated[float, Field(ge=0, le=1)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class SparsifyStep(Part):
    """Set the smallest weights of convolutions and linear layers to zero, for good.

    Fewer bytes once the file is compressed; dense kernels gain no speed from scattered zeros.
    """

    kind: Literal["sparsify"]
    ratio: Share = Field(default=0.5, description="Share of the weights that become zero, 0 to 1.")
    scope: Literal["global", "local"] = Field(
        default="global",
        description="global: the smallest weights of all layers together; local: the same share of each.",
    )
    pattern: str | None = Field(
        default=None,
        title="N:M",
        description="Such as 2:4: of each 4 weights in a row along the input, the 2 largest stay. "
        "In place of ratio and scope.",
    )
    ratios: dict[Pattern, Share] = Field(
        default_factory=dict,
        title="Ratios of single layers",
        description="Layer name pattern (such as layer1.*) to ratio; the first that fits counts.",
    )
    keep: tuple[Pattern, ...] = Field(
        default=(),
        title="Layers to keep",
        description="Layers whose name fits one of these stay as they are.",
    )
    rounds: int = Field(default=1, ge=1, le=50, description="Zeros grow in so many rounds.")
    finetune_epochs: float = Field(
        default=0,
        ge=0,
        le=100,
        description="Training between rounds, in epochs; what is zero stays zero.",
    )

    finetune_rate: float | None = Field(
        default=None, gt=0, description="Its peak learning rate; without a value, half of the network's own."
    )
    optimizer: Literal["sgd", "adamw"] = Field(default="adamw", description="For training between rounds.")
    batch_size: int = Field(default=128, ge=1, le=65536)

    @model_validator(mode="after")
    def _pattern_stands_alone(self) -> "SparsifyStep":
        if self.pattern is None:
            return self
        if self.model_fields_set & {"ratio", "scope", "ratios"}:
            raise ValueError("pattern (N:M) decides how many weights stay: leave out ratio, ratios and scope")
        n, m = self.kept_of or (0, 0)
        if not 1 <= n < m <= _LARGEST_GROUP:
            wanted = f"N:M, such as 2:4, with 1 <= N < M <= {_LARGEST_GROUP}"
            raise ValueError(f"pattern must be {wanted}, but is {self.pattern!r}")
        return self

    @property
    def kept_of(self) -> tuple[int, int] | None:
        """Return N and M of the pattern; None where there is none, or where it cannot be read."""
        found = re.fullmatch(r"(\d{1,3}):(\d{1,3})", self.pattern or "")
        return (int(found[1]), int(found[2])) if found else None

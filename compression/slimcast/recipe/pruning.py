"""The step that removes whole channels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from slimcast.recipe.part import Part
from slimcast.recipe.target import Target
from slimcast.recipe.training import Distillation

Share = Annotated[float, Field(gt=0, lt=1)]
_SMALLEST_BUDGET = 1000
"""Below that, a count of operations, weights or bytes is a slip for a share."""


class PruneTarget(Target):
    """What must remain. Exactly one of the measures: below 1 the share that remains, else a budget."""

    measures: ClassVar[tuple[str, ...]] = ("channels", "macs", "params", "bytes", "latency_ms")

    channels: float | None = Field(
        default=None, gt=0, lt=1, description="Share of the channels that remains."
    )
    macs: float | None = Field(
        default=None, gt=0, description="Multiply-accumulates of one image: a share below 1, or how many."
    )
    params: float | None = Field(default=None, gt=0, description="Parameters: a share below 1, or how many.")
    bytes: float | None = Field(
        default=None, gt=0, description="The artifact file: a share below 1, or its bytes."
    )
    latency_ms: float | None = Field(
        default=None,
        gt=0,
        description="Median latency here, batch 1, one thread: a share below 1, or milliseconds.",
    )
    numbers: Literal["float32", "int8"] = Field(
        default="float32",
        description="Of which artifact bytes and latency are; int8 where the recipe quantizes in the end.",
    )

    @field_validator("macs", "params", "bytes")
    @classmethod
    def _share_or_budget(cls, value: float | None) -> float | None:
        if value is not None and 1 <= value < _SMALLEST_BUDGET:
            raise ValueError(
                f"must be less than 1 (the share that remains) or at least {_SMALLEST_BUDGET} (a budget), "
                f"but is {value:g}"
            )
        return value


class Regularize(Part):
    """Train with a penalty that draws unimportant channels towards zero, before the first cut."""

    kind: Literal["group_norm", "growing", "bn_scale"] = Field(
        description="group_norm: Fang et al., CVPR 2023; growing: Wang et al., ICLR 2021; bn_scale: "
        "Liu et al., ICCV 2017."
    )
    epochs: float = Field(gt=0, le=1000)
    weight: float | None = Field(
        default=None,
        gt=0,
        description="Of the penalty; without a value 5e-4 for group_norm, 1e-4 for bn_scale, and for growing "
        "1e-4 more at each tenth batch.",
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="Without a value, a quarter of the network's own default."
    )


class PruneStep(Part):
    """Remove whole channels with everything that depends on them."""

    kind: Literal["prune"]
    method: Literal["structured"] = "structured"
    criterion: str = "l2"
    target: PruneTarget | None = Field(
        default=None, description="Without it, only what ratios say is removed."
    )
    scope: Literal["local", "global", "isomorphic"] = Field(
        default="local",
        description="local: all layers lose the same share; global: the least important channels go wherever "
        "they are; isomorphic: that, among layers of the same structure.",
    )
    ratios: dict[str, Share] = Field(
        default={},
        description="Share of the channels to remove, by layer name pattern; the target spares them.",
    )
    ratios_from: Literal["sensitivity"] | None = Field(
        default=None,
        description="Take ratios from the step `sensitivity` before: in proportion to what each layer bears, "
        "as far as the target demands; without a target, just that.",
    )
    max_drop: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="With ratios_from: accuracy (a fraction) that a layer may cost when it alone is pruned.",
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers to leave as they are.")
    max_ratio: float = Field(
        default=0.95, gt=0, lt=1, description="Largest share of a layer's channels that may go."
    )
    round_to: int = Field(default=8, ge=1, le=64, description="Channel counts become multiples of this.")
    criterion_images: int = Field(
        default=256, ge=1, le=100_000, description="Training images for criteria that need gradients or maps."
    )
    regularize: Regularize | None = None
    rounds: int = Field(default=1, ge=1, le=50)
    schedule: Literal["geometric", "linear", "cubic"] = Field(
        default="geometric",
        description="How rounds share the work: by equal factors, by equal amounts, or most at first.",
    )
    finetune_epochs: float = Field(default=0, ge=0, le=100, description="Training between rounds, in epochs.")
    finetune_rate: float | None = Field(
        default=None, gt=0, description="Its peak learning rate; without a value, half of the network's own."
    )
    optimizer: Literal["sgd", "adamw"] = Field(default="adamw", description="For all training in this step.")
    batch_size: int = Field(default=128, ge=1, le=65536)
    distill: Distillation | None = Field(
        default=None, description="Between rounds, learn from a teacher too."
    )
    norm_batches: int = Field(
        default=20, ge=0, le=10_000, description="Batches to measure batch norms on after each cut; 0: none."
    )

    @model_validator(mode="after")
    def _removes_something(self) -> "PruneStep":
        if self.target is None and not self.ratios and self.ratios_from is None:
            raise ValueError("needs a target, such as target: {macs: 0.5}, or ratios")
        return self

    @model_validator(mode="after")
    def _takes_ratios_from_one_place(self) -> "PruneStep":
        if self.ratios_from is None and "max_drop" in self.model_fields_set:
            raise ValueError("max_drop says something only with ratios_from: sensitivity")
        if self.ratios_from is not None and self.ratios:
            raise ValueError("give either ratios or ratios_from")
        if self.ratios_from is not None and self.scope != "local":
            raise ValueError("ratios_from decides where channels go: leave out scope")
        return self

"""The step that cuts channels towards a measured budget."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from slimcast.recipe.part import Part
from slimcast.recipe.target import Target


class NetAdaptTarget(Target):
    """What the network may cost in the end. Exactly one of the measures: below 1 the share that remains."""

    measures: ClassVar[tuple[str, ...]] = ("latency_ms", "macs", "bytes")

    latency_ms: float | None = Field(
        default=None,
        gt=0,
        description="Median latency, batch 1: a share below 1, or milliseconds. Here with one thread, on a "
        "device with its own.",
    )
    macs: float | None = Field(
        default=None, gt=0, description="Multiply-accumulates of one image: a share below 1, or how many."
    )
    bytes: float | None = Field(
        default=None, gt=0, description="The artifact file: a share below 1, or its bytes."
    )
    numbers: Literal["float32", "int8"] | None = Field(
        default=None,
        description="Of which artifact bytes and latency are. Without a value int8 where the recipe ends in "
        "int8, else float32.",
    )


class NetAdaptStep(Part):
    """Cut channels in small steps towards a budget; each step is the one that keeps most accuracy.

    Yang et al., NetAdapt, ECCV 2018, arXiv:1804.03230.
    """

    kind: Literal["netadapt"]
    target: NetAdaptTarget
    machine: str = Field(
        default="here",
        pattern=r"^(here|device:[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$",
        description="Whose latency counts: `here`, or `device:NAME` for a device that is online meanwhile.",
    )
    criterion: str = Field(default="l2", description="Which channels of a group go first.")
    criterion_images: int = Field(
        default=256, ge=1, le=100_000, description="Training images for criteria that need gradients or maps."
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers to leave as they are.")
    round_to: int = Field(default=8, ge=1, le=64, description="Channel counts become multiples of this.")
    first_step: float = Field(
        default=0.03,
        gt=0,
        lt=1,
        description="What the first iteration must save, as a share of the cost before the step.",
    )
    decay: float = Field(
        default=0.98, gt=0, le=1, description="Each iteration must save so many times what the last one did."
    )
    iterations: int = Field(default=200, ge=1, le=1000, description="Iterations at most.")
    short_finetune_batches: int = Field(
        default=40, ge=0, le=100_000, description="Training of each proposal, in batches."
    )
    choice_images: int = Field(
        default=1000, ge=10, le=100_000, description="Images by which proposals are judged, at most."
    )
    finetune_epochs: float = Field(
        default=3, ge=0, le=1000, description="Training once the budget is met, in epochs."
    )
    batch_size: int = Field(default=128, ge=1, le=65536)
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak, of both trainings. Without a value, a fifth of the network's own default.",
    )

    @model_validator(mode="after")
    def _only_latency_depends_on_the_machine(self) -> "NetAdaptStep":
        if self.device and self.target.measure != "latency_ms":
            raise ValueError(f"machine: {self.machine} counts for a target of latency_ms only; leave it out")
        return self

    @property
    def device(self) -> str:
        """Name of the device whose latency counts; "" where that is this machine."""
        return self.machine.removeprefix("device:") if self.machine != "here" else ""

"""The search file: what is varied in which recipe, what is aimed at, and what must hold."""

import hashlib
import json
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, FiniteFloat, Tag

from slimcast.recipe.part import Part

Number = int | FiniteFloat


class Range(Part):
    """Numbers from `low` to `high`, both included; whole ones where both ends (and the step) are whole."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = Field(
        default=False, description="Equal ratios are equally likely, instead of equal differences."
    )

    @property
    def is_whole(self) -> bool:
        """Return whether only whole numbers are meant."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step or 1))

    @property
    def top(self) -> Number:
        """Return the largest value that whole steps from `low` reach."""
        if self.step is None:
            return self.high
        return self.low + int((self.high - self.low) / self.step + 1e-9) * self.step


class Choices(Part):
    """One of these values: text, numbers, true or false, null, or whole parts of a recipe."""

    choices: tuple[Any, ...] = Field(min_length=1, max_length=100)


def _sort_of(value: Any) -> str:
    has_choices = "choices" in value if isinstance(value, dict) else isinstance(value, Choices)
    return "choices" if has_choices else "range"


Dimension = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Range, Tag("range")], Discriminator(_sort_of)
]


class SearchDocument(Part):
    """The whole file, its recipe inside. Its identity is `hash`."""

    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
    recipe: dict[str, Any]
    space: dict[str, Dimension] = Field(min_length=1, max_length=100)
    objectives: tuple[str, ...] = Field(min_length=1, max_length=4)
    budgets: dict[str, FiniteFloat] = Field(default_factory=dict)
    trials: int = Field(default=20, ge=1, le=10_000, description="How many trials there shall be in all.")
    workers: int = Field(default=1, ge=1, le=64, description="Trials at the same time.")
    seed: int = Field(default=0, ge=0, lt=2**31)
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    early_stopping: bool = Field(default=True, description="Stop trials that are seen to be hopeless.")

    @property
    def hash(self) -> str:
        """Return what makes it the same search, whatever the number of trials and workers: a sha256."""
        meaning = self.model_dump(mode="json", exclude={"trials", "workers"})
        document = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(document.encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return the search as YAML that `parse_search` reads; defaults are left out."""
        document = {"version": self.version} | self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

"""The recipe as a whole."""

import hashlib
import json
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from slimcast.recipe.factorize import FactorizeStep
from slimcast.recipe.netadapt import NetAdaptStep
from slimcast.recipe.order import misplaced
from slimcast.recipe.part import Part
from slimcast.recipe.pruning import PruneStep
from slimcast.recipe.quantizing import AnyQuantizeStep
from slimcast.recipe.sensitivity import SensitivityStep
from slimcast.recipe.sparsify import SparsifyStep
from slimcast.recipe.subject import DataSpec, ModelSpec
from slimcast.recipe.training import FinetuneStep, TrainStep

Step = Annotated[
    TrainStep
    | PruneStep
    | NetAdaptStep
    | SensitivityStep
    | SparsifyStep
    | FactorizeStep
    | FinetuneStep
    | AnyQuantizeStep,
    Field(discriminator="kind"),
]


class Recipe(Part):
    """The whole file. Its identity is the hash of its canonical JSON, see `hash`."""

    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    seed: int = Field(default=0, ge=0, lt=2**31)
    model: ModelSpec
    data: DataSpec
    steps: tuple[Step, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _steps_are_in_order(self) -> "Recipe":
        for _, message in misplaced(
            [step.model_dump(include={"kind", "ratios_from"}) for step in self.steps]
        ):
            raise ValueError(message)
        return self

    @property
    def hash(self) -> str:
        """Return the recipe's identity: sha256 of its canonical JSON, defaults filled in."""
        document = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(document.encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return the recipe as YAML that `parse_recipe` reads; defaults are left out."""
        document = {"version": self.version} | self.model_dump(mode="json", exclude_defaults=True)
        document["steps"] = [
            {"kind": step.kind} | step.model_dump(mode="json", exclude_defaults=True) for step in self.steps
        ]
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

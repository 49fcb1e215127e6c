"""What all parts of a recipe have in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Frozen, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

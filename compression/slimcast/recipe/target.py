"""What steps that cut towards a goal have in common."""

from typing import ClassVar

from pydantic import model_validator

from slimcast.recipe.part import Part


class Target(Part):
    """A goal in exactly one of several measures: below 1 the share that remains, else a budget.

    Attributes:
        measures: names of the fields of which one is given.
    """

    measures: ClassVar[tuple[str, ...]]

    @model_validator(mode="after")
    def _has_one_measure(self) -> "Target":
        given = [name for name in self.measures if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"must have exactly one of {', '.join(self.measures)}; has {', '.join(given) or 'none'}"
            )
        return self

    @property
    def measure(self) -> str:
        """Name of the measure that is given."""
        return next(name for name in self.measures if getattr(self, name) is not None)

    @property
    def value(self) -> float:
        """Below 1 the share that remains of the cost before the step, else the budget."""
        value: float = getattr(self, self.measure)
        return value

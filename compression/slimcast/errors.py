"""Errors of the engine; all of them are a `slimcast_edge.errors.SlimcastError`.

::

    SlimcastError
    ├── RecipeError        a recipe is wrong; `problems` lists everything that is
    │   └── SearchError    a search file is wrong, in the same manner
    ├── DataError          a data set is missing or damaged
    ├── ModelError         a network cannot be built, or its weights do not fit
    ├── StepError          a step of a recipe could not do its work, or had no effect
    ├── StoreError         the store cannot be opened or used
    │   └── RunNotFound    no run has that id
    ├── RunStateError      a run is not in a state in which this can be done
    ├── FleetError         no broker, no such device, or a device did not answer
    │   └── EnrolmentRefused  a request for enrolment is not answered; `status` as HTTP says it
    ├── RolloutError       a roll-out, group or label is written wrongly, or that cannot be done to it now
    └── Cancelled          somebody cancelled the run (not a failure)
"""

from slimcast_edge.errors import SlimcastError


class RecipeError(SlimcastError):
    """A recipe is wrong.

    Attributes:
        problems: (path, message) of everything that is wrong, in the order of the file. The path of a step's
            field reads ``steps.2.target.macs``.
    """

    def __init__(self, problems: list[tuple[str, str]], what: str = "recipe") -> None:
        self.problems = problems
        lines = [f"  {path or what}: {message}" for path, message in problems]
        super().__init__(f"The {what} has errors:\n" + "\n".join(lines))


class SearchError(RecipeError):
    """A search file is wrong; a path reads ``space.steps.1.criterion``."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems, "search")


class DataError(SlimcastError):
    """A data set is missing or damaged: which file, what was expected, what came."""


class ModelError(SlimcastError):
    """A network cannot be built, or its weights do not fit."""


class StepError(SlimcastError):
    """A step could not do its work, or had no effect."""


class StoreError(SlimcastError):
    """The store cannot be opened or used."""


class RunNotFound(StoreError):
    """No run has that id."""


class RunStateError(SlimcastError):
    """A run is not in a state in which this can be done."""


class FleetError(SlimcastError):
    """No broker, no such device, or a device did not answer."""


class RolloutError(SlimcastError):
    """A roll-out's plan, a group or a label is wrong, or its state does not allow this."""


class EnrolmentRefused(FleetError):
    """A request for enrolment is not answered.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cancelled(SlimcastError):
    """Somebody cancelled the run."""

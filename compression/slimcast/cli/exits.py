"""What an exit code means, and how an error becomes one sentence and a code."""

from typing import Any

import typer
from typer.core import TyperGroup

from slimcast.errors import Cancelled, FleetError, RecipeError, RolloutError, RunNotFound
from slimcast.records import RunState
from slimcast_edge.errors import SettingsError, SlimcastError, UnknownKind

OK, FAILED, WRONG_USAGE, NOT_FOUND, UNREACHABLE, NOTHING_FITS, CANCELLED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the work failed
  2    wrong usage, a wrong setting, or a recipe or a search with errors
  3    no such run, search, variant or kind
  4    the broker or the device cannot be reached
  5    a search has found nothing within its budgets; what it prints is the best that it found
  130  cancelled, or Ctrl-C

State lies in SLIMCAST_HOME. Results go to stdout, progress and errors to stderr."""

_CODES: tuple[tuple[type[SlimcastError], int], ...] = (
    (RecipeError, WRONG_USAGE),
    (SettingsError, WRONG_USAGE),
    (RolloutError, WRONG_USAGE),
    (RunNotFound, NOT_FOUND),
    (UnknownKind, NOT_FOUND),
    (FleetError, UNREACHABLE),
    (Cancelled, CANCELLED),
)


class SlimcastGroup(TyperGroup):
    """Ends with a sentence and a code where a command raises one of our errors."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SlimcastError as error:
            typer.echo(f"slimcast: {error}", err=True)
            raise typer.Exit(code_of(error)) from error
        except KeyboardInterrupt:
            typer.echo("slimcast: stopped by Ctrl-C", err=True)
            raise typer.Exit(CANCELLED) from None


def code_of(error: SlimcastError) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def code_of_state(state: RunState) -> int:
    """Return the exit code for a run that has ended."""
    if state is RunState.SUCCEEDED:
        return OK
    return CANCELLED if state is RunState.CANCELLED else FAILED

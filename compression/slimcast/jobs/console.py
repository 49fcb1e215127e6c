"""Progress for a person at a terminal; lines of text where there is none. Everything goes to stderr."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from slimcast.jobs.reporter import News
from slimcast.records import Cell

_STYLES = {"warning": "yellow", "error": "bold red"}


class ConsoleReporter:
    """Shows a bar with the activity beside it, and the log above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._news = News(0.05)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def log(self, text: str, level: str = "info") -> None:
        """Print a line."""
        style = _STYLES.get(level)
        self._console.print(f"[{style}]{escape(text)}[/]" if style else escape(text), highlight=False)

    def progress(self, fraction: float, activity: str) -> None:
        """Move the bar; where there is none, print what is news."""
        self._bar.update(self._task, completed=fraction, description=escape(activity))
        if self._bar.disable and self._news.is_news(fraction, activity):
            self._console.print(f"{fraction:4.0%}  {escape(activity)}", highlight=False)

    def point(self, series: str, x: float, y: float, step: int) -> None:
        """Do nothing: curves are for the web app."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Do nothing: ``slimcast show RUN --table NAME`` prints it."""

    def step(self, index: int, kind: str, status: str) -> None:
        """Print that a step has started, finished or been skipped."""
        self._console.print(f"Step {index} {kind}: {status}", highlight=False)

    def check_cancelled(self) -> None:
        """Do nothing: the store knows."""

"""The log of a search: one line after the other into a file, and to whoever watches."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from slimcast.reporting import Reporter, SilentReporter


class SearchLog(SilentReporter):
    """Writes lines with their time. May be used from many threads."""

    def __init__(self, path: Path, console: Reporter) -> None:
        self._path, self._console = path, console
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def log(self, text: str, level: str = "info") -> None:
        """Write a line."""
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        with self._lock:
            self._file.write(f"{at}  {'' if level == 'info' else level.upper() + ': '}{text}\n")
            self._file.flush()
            self._console.log(text, level)

    def progress(self, fraction: float, activity: str) -> None:
        """Pass on how much is done."""
        self._console.progress(fraction, activity)


def read_log(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log; nothing where there is none yet."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []

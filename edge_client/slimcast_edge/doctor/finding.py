"""What a check has found."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report. `advice` says what to do about a problem."""

    check: str
    ok: bool
    message: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Return the finding as a line, and a second one with what to do."""
        line = f"{'ok' if self.ok else 'problem':<8} {self.check:<12} {self.message}"
        return f"{line}\n{'':<21} -> {self.advice}" if self.advice else line


def good(check: str, message: str) -> Finding:
    """Return that a check found nothing wrong."""
    return Finding(check=check, ok=True, message=message)


def bad(check: str, message: str, advice: str) -> Finding:
    """Return what is wrong, and what to do about it."""
    return Finding(check=check, ok=False, message=message, advice=advice)

"""What the Trade-offs page shows, as a link to keep and to send: plain text, checked when it comes back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from slimcast_web.services.measures import ACCURACY, SIZE
from slimcast_web.services.tradeoffs import MOST_RUNS

SECTIONS = {"variant": "Variant", "compare": "Compare", "answers": "Answers", "table": "All variants"}
STYLES = {"colour": "as colour", "size": "as size", "3d": "as a third axis"}
MOST_COMPARED = 6
_LONGEST = 400  # a machine's name says runtime, provider and threads as well


@dataclass(frozen=True, kw_only=True)
class View:
    """What is on the screen.

    Attributes:
        runs: their ids. x, y, z: names of measures; z may be "".
        style: how z is shown, a key of `STYLES`. log: whether x has a logarithmic axis.
        fronts: whether each run has a front of its own.
        machine: whose latencies are shown, "" for those of where each run was.
        variant: key of the one that is shown; "" for the last.
        compared: keys of those side by side, the reference first.
        section: what stands below the plot, a key of `SECTIONS`.
    """

    runs: tuple[str, ...] = ()
    x: str = SIZE
    y: str = ACCURACY
    z: str = ""
    style: str = "colour"
    log: bool = False
    fronts: bool = False
    machine: str = ""
    variant: str = ""
    compared: tuple[str, ...] = ()
    section: str = "variant"


_NAMES = {
    "runs": "run",
    "x": "x",
    "y": "y",
    "z": "z",
    "style": "as",
    "log": "log",
    "fronts": "fronts",
    "machine": "on",
    "variant": "variant",
    "compared": "with",
    "section": "show",
}
_CHOICES: dict[str, Collection[str]] = {"style": STYLES, "section": SECTIONS}
_MOST = {"runs": MOST_RUNS, "compared": MOST_COMPARED}
PARAMETERS = frozenset(_NAMES.values())


def to_parameters(view: View) -> dict[str, list[str]]:
    """Return the view as query parameters; what is as by default is left out, but for the runs."""
    default, found = View(), {}
    for field, name in _NAMES.items():
        value = getattr(view, field)
        if value == getattr(default, field) or not value:
            continue
        found[name] = list(value) if isinstance(value, tuple) else ["1" if value is True else value]
    return found


def to_text(view: View) -> str:
    """Return the view as the part of an address behind the question mark."""
    return urlencode(to_parameters(view), doseq=True, safe="/,;")


def from_parameters(parameters: Mapping[str, Sequence[str]]) -> tuple[View, list[str]]:
    """Return the view that query parameters ask for, and in sentences what of them cannot be.

    Whether runs, measures and variants exist is not looked at here, see `known_only`.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for field, name in _NAMES.items():
        given = [text for text in parameters.get(name, ()) if text]
        if not given:
            continue
        if any(len(text) > _LONGEST or not text.isprintable() for text in given):
            problems.append(f"{name} is longer than a name can be, or holds what cannot be printed.")
            continue
        most = _MOST.get(field, 1)
        if len(given) > most:
            problems.append(f"{name} is given {len(given)} times; {most} can be shown.")
        if field in _CHOICES and given[0] not in _CHOICES[field]:
            problems.append(f"{name}={given[0]} is not known. It can be {', '.join(_CHOICES[field])}.")
            continue
        values[field] = _value(field, given[:most])
    return replace(View(), **values), problems  # type: ignore[arg-type]


def known_only(
    view: View, *, measures: Collection[str], machines: Collection[str], variants: Collection[str]
) -> tuple[View, list[str]]:
    """Return the view without what is not there, and in sentences what that is."""
    changes: dict[str, object] = {}
    problems: list[str] = []
    offered = {"x": measures, "y": measures, "z": measures, "machine": machines, "variant": variants}
    for field, known in offered.items():
        wanted = getattr(view, field)
        if wanted and wanted not in known:
            changes[field] = getattr(View(), field)
            if wanted != changes[field]:
                problems.append(f"{_NAMES[field]}={wanted} is not among what these runs have.")
    missing = [key for key in view.compared if key not in variants]
    if missing:
        changes["compared"] = tuple(key for key in view.compared if key in variants)
        problems += [f"with={key} is not among what these runs have." for key in missing]
    return replace(view, **changes), problems  # type: ignore[arg-type]


def _value(field: str, given: Sequence[str]) -> object:
    if field in _MOST:
        return tuple(dict.fromkeys(given))
    return given[0] in {"1", "true"} if field in {"log", "fronts"} else given[0]

"""What a form asks for each step: read off the step's own config type, which the catalog names."""

import types
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from slimcast.catalog import CRITERIA, FACTORIZERS, QUANTIZERS, STEPS
from slimcast.recipe import DataSpec, ModelSpec, Recipe
from slimcast.recipe.quantizing import DEFAULT_METHOD
from slimcast.recipe.target import Target
from slimcast_edge.registry import KindInfo, Registry


class FieldKind(StrEnum):
    """What a field holds."""

    CHOICE = "choice"
    FLAG = "flag"
    WHOLE = "whole"
    NUMBER = "number"
    TEXT = "text"
    YAML = "yaml"


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One field of a form.

    Attributes:
        path: within its step, such as ``target.macs``. title: what a person reads.
        options: of a choice. titles: what they are called, where that is more than their names.
        lowest, highest: limits that a number may have; None where there is none.
        default: what counts without a value. first: shown at once; others once somebody asks for all.
    """

    path: str
    title: str
    help: str
    kind: FieldKind
    options: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    default: Any = None
    first: bool = False


_CATALOGS: dict[tuple[str, str], Registry[Any]] = {
    ("prune", "criterion"): CRITERIA,
    ("netadapt", "criterion"): CRITERIA,
    ("sensitivity", "criterion"): CRITERIA,
    ("factorize", "method"): FACTORIZERS,
    ("quantize", "method"): QUANTIZERS,
}
_FIRST = {
    "train": {"epochs", "batch_size", "learning_rate"},
    "finetune": {"epochs", "learning_rate", "distill.teacher"},
    "prune": {"criterion", "scope", "rounds", "finetune_epochs", "round_to"},
    "netadapt": {"finetune_epochs", "round_to"},
    "sensitivity": {"criterion"},
    "sparsify": {"ratio", "scope"},
    "factorize": {"method", "energy"},
    "quantize": {"method", "weights", "activations", "epochs"},
}
"""Of each step, what is shown at once; besides, whatever the recipe says."""


def fields_of(kind: str, method: str = DEFAULT_METHOD) -> list[FormField]:
    """Return the fields of a step, in the order of its config type; targets and parts are laid flat.

    Args:
        kind: of the step. method: of a step that quantizes; one that is not known counts as the default.
    """
    model: type[BaseModel] = STEPS[kind].load()
    if kind == "quantize":
        model = QUANTIZERS[method if method in QUANTIZERS else DEFAULT_METHOD].load()
    found = _fields(model, kind, "")
    if kind == "quantize":  # its type says Literal["static"]; a person chooses among all
        found = [_named(kind, "method", _CATALOGS[kind, "method"], DEFAULT_METHOD)] + [
            field for field in found if field.path != "method"
        ]
    return found


def general_fields() -> list[FormField]:
    """Return the fields of a recipe that belong to no step, without those that say network and data."""
    found = [_field(Recipe.model_fields[name], "", name) for name in ("name", "seed")]
    for section, part in (("model", ModelSpec), ("data", DataSpec)):
        found += [_field(info, "", f"{section}.{name}") for name, info in part.model_fields.items()]
    return [field for field in found if field.path not in _SUBJECT]


_SUBJECT = {"model.name", "model.weights", "data.name", "data.path"}


def shown_first(kind: str, path: str) -> bool:
    """Return whether a field is shown at once."""
    return path in _FIRST.get(kind, ())


def target_measures(kind: str) -> tuple[str, ...]:
    """Return what a step's target can be stated in; nothing where it has none."""
    field = STEPS[kind].load().model_fields.get("target") if kind != "quantize" else None
    part = _part(field.annotation) if field is not None else None
    return part.measures if part is not None and issubclass(part, Target) else ()


def from_yaml(text: str) -> Any:
    """Return what a person has typed as YAML (a list, a mapping); the text itself where it is none."""
    try:
        return yaml.safe_load(text) if text.strip() else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return text


def to_yaml(value: Any) -> str:
    """Return a value in one line of YAML, "" for none."""
    if value is None:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def fits(field: FormField, value: Any) -> bool:
    """Return whether a widget of the field's kind can show the value."""
    if value is None:
        return True
    if field.kind is FieldKind.CHOICE:
        return value in field.options
    if field.kind is FieldKind.FLAG:
        return isinstance(value, bool)
    if field.kind in {FieldKind.WHOLE, FieldKind.NUMBER}:
        number = isinstance(value, int) or (field.kind is FieldKind.NUMBER and isinstance(value, float))
        return number and not isinstance(value, bool) and _within(field, value)
    return field.kind is FieldKind.YAML or isinstance(value, str)


def _within(field: FormField, value: float) -> bool:
    lowest, highest = field.lowest, field.highest
    return (lowest is None or value >= lowest) and (highest is None or value <= highest)


def _fields(model: type[BaseModel], kind: str, prefix: str) -> list[FormField]:
    found: list[FormField] = []
    for name, info in model.model_fields.items():
        path = prefix + name
        part = _part(info.annotation)
        if name == "kind" and not prefix:
            continue
        if (kind, path) in _CATALOGS:
            found.append(_named(kind, path, _CATALOGS[kind, path], info.default))
        elif part is not None:
            found += _fields(part, kind, f"{path}.")
        else:
            found.append(_field(info, kind, path))
    return found


def _field(info: FieldInfo, kind: str, path: str) -> FormField:
    form, options = _kind_of(info.annotation)
    lowest, highest = _limits(info)
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    return FormField(
        path=path,
        title=_title(info, path),
        help=info.description or "",
        kind=form,
        options=options,
        titles=options,
        lowest=lowest,
        highest=highest,
        default=list(default) if isinstance(default, tuple) else default,
        first=shown_first(kind, path),
    )


def _named(kind: str, path: str, registry: Registry[KindInfo], default: Any) -> FormField:
    names = tuple(registry.names())
    return FormField(
        path=path,
        title=path.capitalize(),
        help="",
        kind=FieldKind.CHOICE,
        options=names,
        titles=tuple(registry[name].title for name in names),
        default=default,
        first=shown_first(kind, path),
    )


def _kind_of(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    kinds = [one for one in _alternatives(annotation) if one is not types.NoneType]
    if len(kinds) == 1 and get_origin(kinds[0]) is Literal:
        choices = get_args(kinds[0])
        return (
            (FieldKind.CHOICE, choices) if all(isinstance(c, str) for c in choices) else (FieldKind.YAML, ())
        )
    simple = {bool: FieldKind.FLAG, int: FieldKind.WHOLE, float: FieldKind.NUMBER, str: FieldKind.TEXT}
    return (simple.get(kinds[0], FieldKind.YAML) if len(kinds) == 1 else FieldKind.YAML), ()


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Union or origin is types.UnionType:
        return [inner for one in get_args(annotation) for inner in _alternatives(one)]
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _alternatives(annotation.__origin__)
    return [annotation]


def _part(annotation: Any) -> Any:
    """Return the part of a recipe that a field holds; None where it holds a plain value."""
    return next(
        (one for one in _alternatives(annotation) if isinstance(one, type) and issubclass(one, BaseModel)),
        None,
    )


def _limits(info: FieldInfo) -> tuple[float | None, float | None]:
    """Return the limits that a field's type states; those that must not be reached themselves count, too."""
    lowest: Any = None
    highest: Any = None
    for mark in info.metadata:
        if isinstance(mark, annotated_types.Ge | annotated_types.Interval) and mark.ge is not None:
            lowest = mark.ge
        if isinstance(mark, annotated_types.Gt | annotated_types.Interval) and mark.gt is not None:
            lowest = mark.gt
        if isinstance(mark, annotated_types.Le | annotated_types.Interval) and mark.le is not None:
            highest = mark.le
        if isinstance(mark, annotated_types.Lt | annotated_types.Interval) and mark.lt is not None:
            highest = mark.lt
    return _number(lowest), _number(highest)


def _number(limit: Any) -> float | None:
    return limit if isinstance(limit, int | float) else None


def _title(info: FieldInfo, path: str) -> str:
    return info.title or path.removeprefix("data.").replace("_", " ").replace(".", ": ").capitalize()

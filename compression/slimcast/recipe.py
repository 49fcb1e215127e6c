"""A recipe: what is done to which network with which data, in which order. One YAML file, one hash.

Torch-free, so that pages and the command line can check a recipe without loading the engine.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from slimcast.catalog import CRITERIA, DATA, MODELS, QUANTIZERS, STEPS
from slimcast.errors import RecipeError
from slimcast_edge.registry import Registry


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpec(_Part):
    """Which network. `weights`: ``none`` (random) or the path of a safetensors file."""

    name: str
    weights: str = "none"


class DataSpec(_Part):
    """Which data. `image_size` in pixels (square); None: the data's own, or the network's minimum."""

    name: str
    image_size: int | None = Field(default=None, ge=8, le=512)
    train_samples: int | None = Field(default=None, ge=1, title="Training samples", description="None: all.")
    test_samples: int | None = Field(default=None, ge=1, title="Test samples", description="None: all.")


class Distillation(_Part):
    """Learn from another model's logits as well (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

    teacher: Literal["baseline"] = "baseline"
    temperature: float = Field(default=4.0, gt=0)
    weight: float = Field(default=0.7, ge=0, le=1, description="Share of the teacher's part in the loss.")


class _Training(_Part):
    epochs: float = Field(default=3, gt=0, le=1000)
    batch_size: int = Field(default=128, ge=1, le=65536)
    learning_rate: float | None = Field(default=None, gt=0, description="None: the network's own default.")
    optimizer: Literal["sgd", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: bool = True


class TrainStep(_Training):
    """Train from the weights that are there."""

    kind: Literal["train"]


class FinetuneStep(_Training):
    """Train a compressed model on, at a lower learning rate, with or without a teacher."""

    kind: Literal["finetune"]
    epochs: float = Field(default=1, gt=0, le=1000)
    distill: Distillation | None = None


class PruneTarget(_Part):
    """What remains, as a fraction: ``macs: 0.4`` keeps 40 % of the multiply-accumulates."""

    macs: float = Field(gt=0, lt=1)


class PruneStep(_Part):
    """Remove whole channels with everything that depends on them."""

    kind: Literal["prune"]
    method: Literal["structured"] = "structured"
    criterion: str = "l2"
    target: PruneTarget
    rounds: int = Field(default=1, ge=1, le=50)
    finetune_epochs: float = Field(default=0, ge=0, le=100, description="Training between rounds, in epochs.")
    round_to: int = Field(default=8, ge=1, le=64, description="Channel counts become multiples of this.")


class QuantizeStep(_Part):
    """Store and compute in integers."""

    kind: Literal["quantize"]
    method: str = "static"
    weights: Literal["int8"] = "int8"
    activations: Literal["int8", "uint8"] = Field(
        default="uint8",
        description="uint8 has integer kernels everywhere; with int8 ONNX Runtime leaves residual layers "
        "of x86-64 in float.",
    )
    calibration_samples: int = Field(default=256, ge=8, le=100_000)


Step = Annotated[TrainStep | PruneStep | FinetuneStep | QuantizeStep, Field(discriminator="kind")]


class Recipe(_Part):
    """The whole file. Its identity is the hash of its canonical JSON, see `hash`."""

    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    seed: int = Field(default=0, ge=0, lt=2**31)
    model: ModelSpec
    data: DataSpec
    steps: tuple[Step, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _quantization_comes_last(self) -> "Recipe":
        for step in self.steps[:-1]:
            if step.kind == "quantize":
                raise ValueError(_QUANTIZE_LAST)
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


def parse_recipe(text: str) -> Recipe:
    """Read a recipe from YAML.

    Raises:
        RecipeError: with everything that is wrong at once: syntax, fields, unknown names.
    """
    try:
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise RecipeError([("", "it is nested too deeply")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "this is no YAML"
        raise RecipeError([(where, str(problem))]) from error
    if not isinstance(document, dict):
        raise RecipeError([("", "expected a mapping with the keys name, model, data and steps")])
    problems = _unknown_names(document) + _steps_after_quantize(document)
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError(_in_order(problems + _explain(error), document)) from error
    if problems:
        raise RecipeError(problems)
    return recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        RecipeError: the file cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([("", f"cannot read {path}: {error}")]) from error
    return parse_recipe(text)


def _unknown_names(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Check every name that a catalog must know, whatever else is wrong with the document."""
    checks: list[tuple[str, Registry[Any], Any]] = [
        ("model.name", MODELS, _get(document, "model", "name")),
        ("data.name", DATA, _get(document, "data", "name")),
    ]
    steps = document.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        if not isinstance(step, dict):
            continue
        if step.get("kind") == "prune":
            checks.append((f"steps.{index}.criterion", CRITERIA, step.get("criterion", "l2")))
        if step.get("kind") == "quantize":
            checks.append((f"steps.{index}.method", QUANTIZERS, step.get("method", "static")))
    problems = []
    for path, registry, name in checks:
        if isinstance(name, str) and name not in registry:
            problems.append((path, f"unknown name {name!r}; known: {', '.join(registry.names())}"))
    return problems


def _get(document: dict[str, Any], section: str, key: str) -> Any:
    part = document.get(section)
    return part.get(key) if isinstance(part, dict) else None


def _steps_after_quantize(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Find steps that cannot be where they are, even when other errors keep `Recipe` from being built."""
    steps = document.get("steps")
    kinds = (
        [step.get("kind") if isinstance(step, dict) else None for step in steps]
        if isinstance(steps, list)
        else []
    )
    return [(f"steps.{index}", _QUANTIZE_LAST) for index, kind in enumerate(kinds[:-1]) if kind == "quantize"]


def _explain(error: ValidationError) -> list[tuple[str, str]]:
    """Say in plain English what pydantic found; leave out what only follows from something else."""
    found = error.errors(include_url=False)
    in_steps = any(item["loc"][:1] == ("steps",) and len(item["loc"]) > 1 for item in found)
    problems = []
    for item in found:
        if item["type"] == "too_short" and in_steps:
            continue  # pydantic does not count the steps that are wrong
        if item["type"] == "value_error" and not item["loc"]:
            continue  # the order of the steps: `_steps_after_quantize` has said it, and where
        problems.append((_path(item["loc"]), _plain(item)))
    return problems


def _plain(item: ErrorDetails) -> str:
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    shown = f", but is {given!r}" if isinstance(given, str | int | float | bool) else ""
    if kind == "extra_forbidden":
        return f"unknown field; known: {', '.join(_known_fields(item['loc']))}"
    if kind == "union_tag_invalid":
        return f"unknown step {context['tag']!r}; known: {', '.join(STEPS.names())}"
    if kind == "union_tag_not_found":
        return f"expected a mapping with a 'kind'; known kinds: {', '.join(STEPS.names())}"
    if kind in _BOUNDS:
        limit = next(iter(context.values()))
        return f"must be {_BOUNDS[kind]} {limit:g}{shown}"
    if kind == "literal_error":
        return f"must be {context['expected']}{shown}"
    if kind == "too_short":
        return "must have at least one step"
    return _PLAIN[kind] + shown if kind in _PLAIN else item["msg"]


_QUANTIZE_LAST = "'quantize' makes the final artifact: no step can follow it"
_BOUNDS = {
    "less_than": "less than",
    "less_than_equal": "at most",
    "greater_than": "more than",
    "greater_than_equal": "at least",
}
_WHOLE, _MAPPING = "must be a whole number", "must be a mapping of fields"
_PLAIN = {
    "missing": "missing; it has no default",
    "string_type": "must be text",
    "string_pattern_mismatch": "must be 1 to 100 of A-Z a-z 0-9 _ . - and begin with a letter or digit",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "tuple_type": "must be a list of steps",
    "too_long": "has too many entries",
}


def _known_fields(location: tuple[int | str, ...]) -> list[str]:
    """Return the fields of the part in which an unknown one stands."""
    part: Any = Recipe
    for name in location[:-1]:
        if isinstance(name, str) and name in part.model_fields:
            annotation = part.model_fields[name].annotation
            candidates = [annotation, *get_args(annotation)]
            part = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), part)
        elif name in STEPS:
            part = STEPS[str(name)].load()
    return list(part.model_fields)


def _in_order(problems: list[tuple[str, str]], document: dict[str, Any]) -> list[tuple[str, str]]:
    """Sort problems as a reader meets them: by the order of the file's keys, then by step."""
    keys = [str(key) for key in document]

    def place(problem: tuple[str, str]) -> tuple[int, int]:
        first, *rest = problem[0].split(".")
        return (
            keys.index(first) if first in keys else len(keys),
            int(rest[0]) if rest and rest[0].isdecimal() else 0,
        )

    return sorted(problems, key=place)


def _path(location: tuple[int | str, ...]) -> str:
    # Pydantic puts the discriminator ("train") between a step's index and its field: of no use to a reader.
    kinds = set(STEPS.names())
    return ".".join(str(part) for i, part in enumerate(location) if not (i == 2 and part in kinds))

"""Names that a catalog must know."""

from typing import Any

from slimcast.catalog import CRITERIA, DATA, FACTORIZERS, MODELS, QUANTIZERS
from slimcast.catalog.open_networks import TIMM
from slimcast.recipe.quantizing import DEFAULT_METHOD
from slimcast_edge.registry import Registry


def unknown_names(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Check every name that a catalog must know, whatever else is wrong with the document."""
    checks: list[tuple[str, Registry[Any], Any]] = [
        ("data.name", DATA, _get(document, "data", "name")),
    ]
    steps = document.get("steps")
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        if not isinstance(step, dict):
            continue
        if step.get("kind") in {"prune", "netadapt", "sensitivity"}:
            checks.append((f"steps.{index}.criterion", CRITERIA, step.get("criterion", "l2")))
        if step.get("kind") == "factorize":
            checks.append((f"steps.{index}.method", FACTORIZERS, step.get("method", "tucker")))
        if step.get("kind") == "quantize":
            checks.append((f"steps.{index}.method", QUANTIZERS, step.get("method", DEFAULT_METHOD)))
    problems = _model_problems(_get(document, "model", "name"), _get(document, "model", "weights"))
    for path, registry, name in checks:
        if isinstance(name, str) and name not in registry:
            problems.append((path, f"unknown name {name!r}; known: {', '.join(registry.names())}"))
    return problems


def _model_problems(name: Any, weights: Any) -> list[tuple[str, str]]:
    if not isinstance(name, str):
        return []
    if problem := MODELS.problem(name):
        return [("model.name", f"unknown name {name!r}; {problem}")]
    if weights == "imagenet" and not (MODELS[name].imagenet or name.startswith(TIMM)):
        return [("model.weights", f"there are no ImageNet weights for {MODELS[name].title}")]
    return []


def _get(document: dict[str, Any], section: str, key: str) -> Any:
    part = document.get(section)
    return part.get(key) if isinstance(part, dict) else None

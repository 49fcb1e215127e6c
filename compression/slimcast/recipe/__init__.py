"""A recipe: what is done to which network with which data, in which order. One YAML file, one hash.

Torch-free, so that pages and the command line can check a recipe without loading the engine.
"""

from slimcast.recipe.document import Recipe, Step
from slimcast.recipe.factorize import FactorizeStep
from slimcast.recipe.netadapt import NetAdaptStep, NetAdaptTarget
from slimcast.recipe.parse import load_recipe, parse_recipe
from slimcast.recipe.pruning import PruneStep, PruneTarget, Regularize
from slimcast.recipe.quantizing import (
    DynamicQuantize,
    Float16Quantize,
    QatQuantize,
    QuantizeStep,
    StaticQuantize,
)
from slimcast.recipe.sensitivity import SensitivityStep
from slimcast.recipe.sparsify import SparsifyStep
from slimcast.recipe.subject import DataSpec, ModelSpec
from slimcast.recipe.training import Distillation, FinetuneStep, TrainStep

__all__ = [
    "DataSpec",
    "Distillation",
    "DynamicQuantize",
    "FactorizeStep",
    "FinetuneStep",
    "Float16Quantize",
    "ModelSpec",
    "NetAdaptStep",
    "NetAdaptTarget",
    "PruneStep",
    "PruneTarget",
    "QatQuantize",
    "QuantizeStep",
    "Recipe",
    "Regularize",
    "SensitivityStep",
    "SparsifyStep",
    "StaticQuantize",
    "Step",
    "TrainStep",
    "load_recipe",
    "parse_recipe",
]

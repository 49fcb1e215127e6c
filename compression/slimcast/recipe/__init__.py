"""A recipe: what is done to which network with which data, in which order. One YAML file, one hash.

Torch-free, so that pages and the command line can check a recipe without loading the engine.
"""

from slimcast.recipe.document import Recipe, Step
from slimcast.recipe.factorize import FactorizeStep
from slimcast.recipe.lowbit import (
    BinaryQuantize,
    DorefaQuantize,
    LowBitQuantize,
    PactQuantize,
    WrpnQuantize,
)
from slimcast.recipe.netadapt import NetAdaptStep, NetAdaptTarget
from slimcast.recipe.parse import load_recipe, parse_recipe
from slimcast.recipe.pruning import PruneStep, PruneTarget, Regularize
from slimcast.recipe.quantize_step import QuantizeStep
from slimcast.recipe.quantizing import DynamicQuantize, Float16Quantize, QatQuantize, StaticQuantize
from slimcast.recipe.quanto import (
    MixedQuantize,
    MixedTarget,
    QuantoQuantize,
    RoundedQuantize,
    WeightOnlyQuantize,
)
from slimcast.recipe.sensitivity import SensitivityStep
from slimcast.recipe.sparsify import SparsifyStep
from slimcast.recipe.subject import DataSpec, ModelSpec
from slimcast.recipe.training import Distillation, FinetuneStep, TrainStep

__all__ = [
    "BinaryQuantize",
    "DataSpec",
    "Distillation",
    "DorefaQuantize",
    "DynamicQuantize",
    "FactorizeStep",
    "FinetuneStep",
    "Float16Quantize",
    "LowBitQuantize",
    "MixedQuantize",
    "MixedTarget",
    "ModelSpec",
    "NetAdaptStep",
    "NetAdaptTarget",
    "PactQuantize",
    "PruneStep",
    "PruneTarget",
    "QatQuantize",
    "QuantizeStep",
    "QuantoQuantize",
    "Recipe",
    "Regularize",
    "RoundedQuantize",
    "SensitivityStep",
    "SparsifyStep",
    "StaticQuantize",
    "Step",
    "TrainStep",
    "WeightOnlyQuantize",
    "WrpnQuantize",
    "load_recipe",
    "parse_recipe",
]

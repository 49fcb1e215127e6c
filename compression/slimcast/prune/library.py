"""Importing Torch-Pruning without what it does not need."""

import sys
from types import ModuleType


def torch_pruning() -> ModuleType:
    """Return Torch-Pruning, imported on first use.

    Where timm is installed it imports that too, for counters of attention layers that we do not use, and timm
    imports torch's compiler: two seconds of processor time in each job that prunes (1.6.1, torch 2.15). So
    timm is out of sight meanwhile, unless the network has brought it in already.
    """
    hidden = "torch_pruning" not in sys.modules and "timm" not in sys.modules
    if hidden:
        sys.modules["timm"] = None  # type: ignore[assignment]
    try:
        import torch_pruning
    finally:
        if hidden:
            del sys.modules["timm"]
    return torch_pruning

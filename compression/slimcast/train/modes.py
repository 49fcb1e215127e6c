"""Training mode, for networks of which a part is frozen."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def train_mode(model: nn.Module) -> None:
    """Set training mode, but leave frozen batch norms as they are: they must not learn new statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm) and _frozen(module):
            module.eval()


def _frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(p.requires_grad for p in parameters)

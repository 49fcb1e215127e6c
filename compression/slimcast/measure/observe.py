"""Look at what happens inside a network while one image goes through it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


def observe(model: nn.Module, example: Tensor, hooks: Mapping[nn.Module, Hook]) -> None:
    """Send one image, (1, C, H, W), through the network in evaluation mode.

    Args:
        model: is left as it was.
        hooks: called with (module, inputs, output) after each of these modules.
    """
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()

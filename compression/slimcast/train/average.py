"""A moving average of a network's weights while it trains."""

import copy

import torch
from torch import Tensor, nn

_FAST_START = 10


class MovingAverage:
    """Keeps the exponential moving average of weights and of batch-norm statistics.

    Polyak and Juditsky 1992; as in Tarvainen and Valpola 2017 (arXiv:1703.01780) the decay rises from the
    start on, so that the random weights of the beginning are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self._decay, self._steps = decay, 0
        own, followed = self._tensors(self.model), self._tensors(model)
        self._averaged, self._followed = (
            [tensor for tensor in tensors if tensor.is_floating_point()] for tensors in (own, followed)
        )
        self._counted = [(a, b) for a, b in zip(own, followed, strict=True) if not a.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights in."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (_FAST_START + self._steps))
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)
        for own, followed in self._counted:
            own.copy_(followed)

    def copy_to(self, model: nn.Module) -> None:
        """Give a network of the same shape the averaged weights."""
        model.load_state_dict(self.model.state_dict())

    @staticmethod
    def _tensors(model: nn.Module) -> list[Tensor]:
        return [*(p.detach() for p in model.parameters()), *model.buffers()]

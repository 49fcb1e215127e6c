"""When to stop early, and which weights to keep."""

from torch import Tensor, nn

_SLACK = 1e-9


class EarlyStopping:
    """Keeps the best weights seen, and says when there was nothing better for too long.

    Attributes:
        best: the best value so far. epoch: when it was.
    """

    def __init__(self, patience: int) -> None:
        self.best, self.epoch = float("-inf"), 0.0
        self._patience = patience
        self._weights: dict[str, Tensor] = {}

    def is_over(self, model: nn.Module, value: float, epoch: float) -> bool:
        """Take a new value in (higher is better), and return whether training should stop."""
        if value > self.best:
            self.best, self.epoch = value, epoch
            self._weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return epoch - self.epoch >= self._patience - _SLACK

    def restore(self, model: nn.Module) -> None:
        """Put the best weights back."""
        model.load_state_dict(self._weights)

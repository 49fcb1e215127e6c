"""What decides how long one layer takes: the key of a table of latencies, the same on every machine."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """A convolution or a linear layer, with the activation that runtimes compute along with it.

    Attributes:
        kind: ``conv`` or ``linear``.
        inputs, outputs: channels.
        size: height and width of the input in pixels; (1, 1) for a linear layer.
        kernel, stride, padding, dilation: (height, width) each.
        groups: of the convolution; as many as `inputs` in a depthwise one.
        activation: ``ReLU`` or ``ReLU6``; "" where no such one follows.
    """

    kind: str
    inputs: int
    outputs: int
    size: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: str = ""

    @property
    def key(self) -> str:
        """Return it as one line, such as ``conv 64>192 3x3 in 8x8 pad 1x1 ReLU``; defaults are left out."""
        if self.kind == "linear":
            parts = [f"linear {self.inputs}>{self.outputs}"]
        else:
            parts = [f"conv {self.inputs}>{self.outputs} {_pair(self.kernel)} in {_pair(self.size)}"]
            parts += [f"stride {_pair(self.stride)}"] if self.stride != (1, 1) else []
            parts += [f"pad {_pair(self.padding)}"] if self.padding != (0, 0) else []
            parts += [f"dilation {_pair(self.dilation)}"] if self.dilation != (1, 1) else []
            parts += [f"groups {self.groups}"] if self.groups != 1 else []
        parts += [self.activation] if self.activation else []
        return " ".join(parts)

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output, pixels."""
        height, width = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                self.size, self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )
        return height, width

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return self.outputs * (self.inputs // self.groups) * prod(self.kernel)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weights * prod(self.output_size)


def _pair(values: tuple[int, int]) -> str:
    return f"{values[0]}x{values[1]}"

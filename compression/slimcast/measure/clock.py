"""Measuring somewhere else: what NetAdapt asks of a device that tells it what networks cost there."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from slimcast_edge.bench import LayerTime


class DeviceClock(Protocol):
    """A device that measures for a run.

    Attributes:
        machine: which one, and what it is. runtime: name and version. threads: that compute there.
        disturbed: whether others computed there during the last measurement.

    """

    machine: str
    runtime: str
    threads: int
    disturbed: bool

    def layer(self, graph: bytes, *, beside_bytes: int) -> "LayerTime":
        """Time one layer, see `slimcast_edge.bench.measure_layer`.

        Raises:
            SlimcastError: the device cannot do it, or cannot be reached.

        """

    def model_ms(self, artifact: bytes, name: str) -> float:
        """Return the median latency of a whole network there, batch 1, ms; raises as `layer`."""


Clocks = Callable[[str], DeviceClock]
"""Returns the device of a name, connected; raises `SlimcastError` where it cannot be reached."""

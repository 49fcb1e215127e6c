"""Whether the client truly goes on: what the watchdog of the service manager is told."""

import threading
from collections.abc import Mapping, Sequence

from slimcast_edge.pulse import Pulse

_PATIENCE_S = 60.0
_SHARE_OF_WATCHDOG = 2 / 3


class Liveness:
    """Whether every thread is there, and every loop goes round.

    Args:
        threads: all that must be alive.
        pulses: of the loops, by name; where several do the same, all of them must hang to be a fault: one
            that hangs is left behind, since a new start would cost the others their work as well.
        patience_s: a loop that is silent for longer hangs, s.

    """

    def __init__(
        self, threads: Sequence[threading.Thread], pulses: Mapping[str, Sequence[Pulse]], *, patience_s: float
    ) -> None:
        self._threads, self._pulses, self._patience_s = threads, pulses, patience_s

    def fault(self) -> str:
        """Return what is wrong; "" while all is well."""
        for thread in self._threads:
            if not thread.is_alive():
                return f"The thread {thread.name!r} has ended."
        for name, pulses in self._pulses.items():
            silent_s = min(pulse.silent_s for pulse in pulses)
            if silent_s > self._patience_s:
                return f"The loop {name!r} hangs since {silent_s:.0f} s."
        return ""


def patience_s(watchdog_s: float | None, fps: float | None) -> float:
    """Return how long a loop may be silent: below the watchdog's time, but three frames of a slow camera."""
    usual = _PATIENCE_S if watchdog_s is None else watchdog_s * _SHARE_OF_WATCHDOG
    return max(usual, 3.0 / fps) if fps else usual

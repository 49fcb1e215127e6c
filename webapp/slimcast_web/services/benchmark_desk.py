"""Benchmarks on devices that pages have asked for, and how they ended."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slimcast.errors import FleetError, SlimcastError
from slimcast.fleet.benchmarks import BenchmarkPlan, measure_models

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub
    from slimcast.store import Store

log = logging.getLogger(__name__)

KEPT = 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A benchmark that a page has asked for. `error`: why it failed; `finished_at`: None while it goes on."""

    device: str
    models: tuple[tuple[str, str], ...]
    error: str = ""
    finished_at: float | None = None


@dataclass(kw_only=True)
class BenchmarkDesk:
    """Asks devices to measure, in a thread each, and remembers how that ended."""

    hub: "FleetHub"
    store: "Store"
    _asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, device: str, models: Sequence[tuple[str, str]], plan: BenchmarkPlan) -> Asked:
        """Ask a device to measure artifacts, (sha256, name) each; returns at once.

        Raises:
            FleetError: it is measuring for us already.

        """
        asked = Asked(device=device, models=tuple(models))
        with self._lock:
            if any(one.device == device and one.finished_at is None for one in self._asked):
                raise FleetError(f"{device} is measuring already. Wait until it has finished.")
            self._asked = [*self._asked, asked][-KEPT:]
        threading.Thread(
            target=self._run, args=(asked, plan), name=f"benchmark-{device}", daemon=True
        ).start()
        return asked

    def recent(self) -> list[Asked]:
        """Return the last ones, newest first."""
        with self._lock:
            return list(reversed(self._asked))

    def _run(self, asked: Asked, plan: BenchmarkPlan) -> None:
        error = ""
        try:
            measure_models(self.hub, self.store, asked.device, asked.models, plan)
        except SlimcastError as problem:
            error = str(problem)
        except Exception:  # the page must learn that it has ended, whatever went wrong
            log.exception("The benchmark on %s failed.", asked.device)
            error = "It failed unexpectedly. The app's log says more."
        with self._lock:
            ended = replace(asked, error=error, finished_at=time.time())
            self._asked = [ended if one is asked else one for one in self._asked]

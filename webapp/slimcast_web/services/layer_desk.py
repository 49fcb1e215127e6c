"""Times of layers that pages have asked for, measured on this machine, one artifact at a time."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slimcast.errors import SlimcastError
from slimcast.measure.layer_times import LayerTimes, layer_times

if TYPE_CHECKING:
    from slimcast.store import Store

log = logging.getLogger(__name__)

KEPT = 200


@dataclass(kw_only=True)
class LayerDesk:
    """Times artifacts in a thread, and keeps what was found, or why nothing was. Thread-safe."""

    store: "Store"
    measure: Callable[[bytes], LayerTimes] = layer_times
    _found: OrderedDict[str, LayerTimes | str] = field(default_factory=OrderedDict)
    _waiting: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def start(self, artifacts: Sequence[str]) -> None:
        """Time these artifacts, by sha256, once more if they were before; returns at once."""
        with self._lock:
            for sha256 in artifacts:
                self._found.pop(sha256, None)
            self._waiting += [sha256 for sha256 in artifacts if sha256 not in self._waiting]
            if self._thread is None and self._waiting:
                self._thread = threading.Thread(target=self._run, name="layer-times", daemon=True)
                self._thread.start()

    def of(self, sha256: str) -> LayerTimes | str | None:
        """Return the times of an artifact's layers, or why there are none; None before it was asked for."""
        with self._lock:
            return self._found.get(sha256)

    def waits(self, artifacts: Sequence[str]) -> bool:
        """Return whether one of these is still to be timed."""
        with self._lock:
            return any(sha256 in self._waiting for sha256 in artifacts)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                sha256 = self._waiting[0]
            found = self._one(sha256)
            with self._lock:
                self._waiting.remove(sha256)
                self._found[sha256] = found
                while len(self._found) > KEPT:
                    self._found.popitem(last=False)

    def _one(self, sha256: str) -> LayerTimes | str:
        try:
            return self.measure(self.store.artifacts.local_path(sha256).read_bytes())
        except (SlimcastError, OSError) as error:
            return str(error)
        except Exception:  # the page must learn that it has ended, whatever went wrong
            log.exception("Timing the layers of %s failed.", sha256)
            return "Timing its layers failed unexpectedly. The app's log says more."

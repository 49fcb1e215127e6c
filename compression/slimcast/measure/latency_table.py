"""A table of the latency of single layers, measured once and kept on disk.

Yang et al., NetAdapt, ECCV 2018, arXiv:1804.03230. The table is filled as it is asked, at the channel counts
that are asked for: nothing is interpolated. One file holds what was measured under the same conditions; that
of another machine, runtime or number of threads is another file and never read.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slimcast.errors import StoreError
from slimcast.measure.layers import LayerShape
from slimcast_edge.bench import LayerTime
from slimcast_edge.durable import write_whole

FORMAT = 2
"""Of the file, and of the way in which a layer is measured: another one makes the old tables unused."""

_KIB = 1024
_LEAST_BESIDE = 512 * _KIB
_MOST_BESIDE = 32 * _KIB * _KIB


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under which a table was measured.

    Attributes:
        machine: which one, and what it is. runtime: name and version. threads: that compute.
        numbers: ``float32`` or ``int8``.
        beside_bytes: memory that is read between two runs, see `beside`.
    """

    machine: str
    runtime: str
    threads: int
    numbers: str
    beside_bytes: int


def beside(network_bytes: int) -> int:
    """Return with how much other memory the layers of a network of that size share the caches, bytes.

    Rounded down to a power of two, so that networks of about one size share a table; nothing below 512 KiB,
    which stays in the cache of one core, and 32 MiB at most, which leave nothing in any.
    """
    if network_bytes < _LEAST_BESIDE:
        return 0
    return min(_MOST_BESIDE, 1 << (network_bytes.bit_length() - 1))


class LatencyTable:
    """Answers from what was measured, and measures what was not.

    Attributes:
        conditions: under which it holds. measured: how many layers were measured by this object.
    """

    def __init__(
        self,
        conditions: Conditions,
        *,
        measure: Callable[[LayerShape], LayerTime],
        folder: Path | None,
        disturbed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read what was measured before.

        Args:
            conditions: under which it holds.
            measure: times one layer under these conditions.
            folder: where tables are kept; None: only in memory.
            disturbed: whether what is measured now is good for this run only, and not to be kept for others.
        """
        self.conditions = conditions
        self.measured = 0
        self._measure, self._disturbed = measure, disturbed
        self._passing: dict[str, float] = {}
        self._path = folder / f"{_name(conditions)}.json" if folder is not None else None
        self._layers = self._read()

    def latency_ms(self, layer: LayerShape) -> float:
        """Return the latency of a layer, ms.

        Raises:
            RuntimeFailure: the layer cannot be measured.
            StoreError: the table cannot be written.
        """
        key = layer.key
        if key in self._layers:
            return float(self._layers[key]["ms"])
        if key not in self._passing:
            time = self._measure(layer)
            self.measured += 1
            self._passing[key] = time.ms
            if not self._disturbed():
                self._layers[key] = {"ms": time.ms, "runs": time.runs}
                self._write()
        return self._passing[key]

    def __len__(self) -> int:
        return len(self._layers)

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the layers of the file; none where it is damaged, or not of this format and conditions."""
        if self._path is None:
            return {}
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT or document["conditions"] != asdict(self.conditions):
                return {}
            return {
                str(key): {"ms": float(entry["ms"]), "runs": int(entry["runs"])}
                for key, entry in document["layers"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # it can be measured again

    def _write(self) -> None:
        if self._path is None:
            return
        # Another job may have measured meanwhile; what we have measured ourselves stays.
        self._layers = self._read() | self._layers
        document = {"format": FORMAT, "conditions": asdict(self.conditions), "layers": self._layers}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(document, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise StoreError(
                f"The table of latencies {self._path} cannot be written: {error}. Is SLIMCAST_HOME writable?"
            ) from error


def _name(conditions: Conditions) -> str:
    document = json.dumps({"format": FORMAT} | asdict(conditions), sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]

"""What the engine's tests share: a store in memory, a reporter that remembers, and a network trained once."""

import functools
import hashlib
from pathlib import Path

from slimcast.data.digits import load as load_digits
from slimcast.data.images import ImageData, resized
from slimcast.errors import Cancelled
from slimcast.models.build import NetworkSpec, build
from slimcast.records import Checkpoint, Table, Variant
from slimcast.reporting import SilentReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import InputSpec

LENET = NetworkSpec(model="lenet5", classes=10, channels=1, image_size=32)
SIZE = InputSpec(height=32, width=32, channels=1)


class RecordingReporter(SilentReporter):
    """Remembers everything; `cancel_at` is the progress activity's beginning at which somebody cancels."""

    def __init__(self, cancel_when=None):
        self.logs, self.points, self.steps, self.fractions = [], [], [], []
        self.tables: dict[str, tuple] = {}
        self._cancel_when, self._cancelled = cancel_when, False

    def log(self, text, level="info"):
        self.logs.append((level, text))

    def progress(self, fraction, activity):
        self.fractions.append(fraction)

    def point(self, series, x, y, step):
        self.points.append((series, x, y, step))

    def table(self, name, columns, rows):
        self.tables[name] = (tuple(columns), tuple(tuple(row) for row in rows))

    def step(self, index, kind, status):
        self.steps.append((index, kind, status))
        self._cancelled = self._cancel_when == (index, status)

    def check_cancelled(self):
        if self._cancelled:
            raise Cancelled("Cancelled by the test.")


class _Files:
    def __init__(self, folder: Path):
        self._folder = folder

    def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self.local_path(name).write_bytes(content)
        return name

    def local_path(self, sha256: str) -> Path:
        return self._folder / sha256


class MemoryStore:
    """The part of the store that the pipeline uses."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.artifacts = _Files(folder)
        self._checkpoints: dict[int, Checkpoint] = {}
        self._variants: dict[int, Variant] = {}
        self._tables: dict[str, Table] = {}

    def copy(self) -> "MemoryStore":
        """Return one with the same rows, over the same files; what is added to either is not in the other."""
        other = MemoryStore(self.folder)
        for rows in ("_checkpoints", "_variants", "_tables"):
            setattr(other, rows, dict(getattr(self, rows)))
        return other

    def checkpoints(self, run_id):
        return list(self._checkpoints.values())

    def variants(self, run_id):
        return list(self._variants.values())

    def tables(self, run_id):
        return list(self._tables.values())

    def save_table(self, run_id, table):
        self._tables[table.name] = table

    def save_checkpoint(self, checkpoint):
        self._checkpoints[checkpoint.step] = checkpoint

    def save_variant(self, variant):
        self._variants[variant.step] = variant


@functools.cache
def digits() -> ImageData:
    return resized(load_digits(Path()), 32)


@functools.cache
def trained_lenet():
    """Return LeNet-5 after five epochs on the digits. Shared: copy it before changing it."""
    model = build(LENET, seed=0)
    fit(model, digits(), TrainingPlan(epochs=5, batch_size=32), reporter=SilentReporter())
    return model

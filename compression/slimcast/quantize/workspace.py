"""A folder for libraries that work on files, and silence for those that talk."""

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Self

import onnx


class Workspace:
    """A temporary folder, as a context manager."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="slimcast-")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return Path(self._folder.name) / name

    def write(self, model: onnx.ModelProto, name: str) -> Path:
        """Save a model there and return its path."""
        onnx.save(model, self.path(name))
        return self.path(name)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the quantizer's advice, which it logs to the root logger and prints, from the user."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)

"""What executes models on a device, as its settings say; passed on to the processes that it starts."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from slimcast_edge.errors import SettingsError
from slimcast_edge.runtime.catalog import open_runtime
from slimcast_edge.runtime.port import Runtime
from slimcast_edge.runtime.providers import PROVIDERS


@dataclass(frozen=True, kw_only=True)
class RuntimeChoice:
    """A runtime with its settings.

    Attributes:
        name: an entry of `RUNTIMES`. provider: see `slimcast_edge.runtime.providers`.
        threads: threads that compute. spin: whether they wait busily for the next layer.
        cache: folder for what a provider compiles.

    """

    name: str = "onnxruntime"
    provider: str = "cpu"
    threads: int = 1
    spin: bool = False
    cache: Path | None = None

    def open(self, model: Path | bytes) -> Runtime:
        """Check an artifact and open it; raises what `open_runtime` does.

        What is compiled for a file comes into a folder of its name, so that it can go with the file.
        """
        cache = self.cache / model.stem if self.cache is not None and isinstance(model, Path) else self.cache
        return open_runtime(
            model,
            name=self.name,
            provider=self.provider,
            threads=self.threads,
            spin=self.spin,
            cache=cache,
        )

    def arguments(self) -> list[str]:
        """Return the options that ``slimcast-edge bench`` and the trial take."""
        line = ["--runtime", self.name, "--provider", self.provider, "--threads", str(self.threads)]
        line += ["--spin"] if self.spin else []
        return line + (["--engine-cache", str(self.cache)] if self.cache is not None else [])

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "RuntimeChoice":
        """Read what a command line says.

        Raises:
            SettingsError: there is no such provider.

        """
        if options.provider not in PROVIDERS:
            raise SettingsError(f"No provider {options.provider!r}. Known: {', '.join(PROVIDERS)}.")
        return cls(
            name=options.runtime,
            provider=options.provider,
            threads=options.threads,
            spin=options.spin,
            cache=options.engine_cache,
        )

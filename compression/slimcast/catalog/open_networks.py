"""Networks that no list can hold: timm's as ``timm:NAME``, and one's own as ``package.module:function``.

Names are checked without importing anything: timm by reading the text of its sources, one's own by their
form alone, since importing a module runs it.
"""

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slimcast.catalog.network_info import ModelInfo
from slimcast_edge.errors import UnknownKind
from slimcast_edge.registry import Registry

TIMM = "timm:"
TIMM_MISSING = 'networks named timm:... need the library timm: pip install "slimcast[timm]"'
_TIMM_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
_OWN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_DEFINED = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
_TIMM_CITATION = "Wightman, PyTorch Image Models, github.com/huggingface/pytorch-image-models"


@dataclass(frozen=True, kw_only=True)
class TimmInfo(ModelInfo):
    """A network of timm. `impl` makes the builder of a name."""

    def load(self) -> Any:
        """Return the builder.

        Raises:
            ImportError: the implementation is missing.
        """
        return super().load()(self.name.removeprefix(TIMM))


class Networks(Registry[ModelInfo]):
    """The catalog of networks; names that it does not hold may be timm's, or a function of one's own."""

    def __getitem__(self, name: str) -> ModelInfo:
        if problem := self.problem(name):
            raise UnknownKind(f"No network named {name!r}. {problem[0].upper()}{problem[1:]}.")
        if name in self.names():
            return super().__getitem__(name)
        if name.startswith(TIMM):
            return _timm_info(name)
        return ModelInfo(name=name, title=name, description="A network of one's own.", impl=name, smallest=1)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not self.problem(name)

    def problem(self, name: str) -> str | None:
        """Return what is wrong with a name; None when it can be built, as far as the name goes."""
        if super().__contains__(name) or is_own(name):
            return None
        if name.startswith(TIMM):
            return _timm_problem(name.removeprefix(TIMM))
        return f"known: {', '.join(self.names())}; or timm:NAME, or package.module:function"


def is_own(name: str) -> bool:
    """Return whether a name says ``package.module:function``."""
    return not name.startswith(TIMM) and _OWN.fullmatch(name) is not None


@cache
def timm_names() -> tuple[str, ...]:
    """Return the names of timm's networks, sorted; none where timm is not installed."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        return ()
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    return tuple(sorted(name for file in files for name in _DEFINED.findall(file.read_text("utf-8"))))


def _timm_problem(name: str) -> str | None:
    known = timm_names()
    if not known:
        return TIMM_MISSING
    if _TIMM_NAME.fullmatch(name) and name.partition(".")[0] in known:
        return None
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"timm has no such network{hint}"


def _timm_info(name: str) -> ModelInfo:
    return TimmInfo(
        name=name,
        title=f"{name.removeprefix(TIMM)} (timm)",
        description="A network of timm.",
        impl="slimcast.models.timm:builder",
        citation=_TIMM_CITATION,
        learning_rate=1e-3,
    )

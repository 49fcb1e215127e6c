"""Catalogs: named, frozen entries whose implementation is imported only when it is used."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from slimcast_edge.errors import DuplicateKind, UnknownKind


@dataclass(frozen=True, kw_only=True)
class KindInfo:
    """One entry of a catalog.

    Attributes:
        name: what a recipe or a configuration file says.
        title: what a person reads.
        description: one or two sentences, with units where there are any.
        impl: dotted place of the implementation, ``package.module:name``.
        citation: where the method was published; empty for plain engineering.

    """

    name: str
    title: str
    description: str
    impl: str
    citation: str = ""

    def load(self) -> Any:
        """Import and return the implementation.

        Raises:
            ImportError: the implementation, or a library it needs, is missing.

        """
        module, _, attribute = self.impl.partition(":")
        return getattr(import_module(module), attribute)


K = TypeVar("K", bound=KindInfo)


class Registry(Generic[K]):
    """Entries of one sort, by name, in the order in which they were given."""

    def __init__(self, what: str, entries: Iterable[K] = ()) -> None:
        self._what = what
        self._entries: dict[str, K] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: K) -> None:
        """Add an entry.

        Raises:
            DuplicateKind: the name is taken.

        """
        if entry.name in self._entries:
            raise DuplicateKind(f"There is already a {self._what} named {entry.name!r}.")
        self._entries[entry.name] = entry

    def __getitem__(self, name: str) -> K:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownKind(f"No {self._what} named {name!r}. Known: {', '.join(self.names())}.") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries.values())

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries)

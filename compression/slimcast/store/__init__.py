"""Runs, their measurements and events in a database; artifacts as files named by their content. No torch."""

from slimcast.store.artifacts import ArtifactFiles
from slimcast.store.store import Store

__all__ = ["ArtifactFiles", "Store"]

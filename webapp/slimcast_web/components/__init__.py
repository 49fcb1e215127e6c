"""Pieces of pages: `show(...) -> value`; each owns its own state."""

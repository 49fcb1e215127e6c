"""The Slimcast engine: a recipe in, measured artifacts out."""

__version__ = "0.1.0"

"""Storing and computing in fewer bits."""

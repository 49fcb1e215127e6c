"""Removing parts of a network."""

"""Measures on the device what a signed order of the studio names: whole models, or single layers."""

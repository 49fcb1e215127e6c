"""The embedded broker's process. It imports as little as it can: it runs beside everything else."""

PORT_TAKEN = 98
"""Exit status when somebody else listens on the port."""
HOST = "127.0.0.1"

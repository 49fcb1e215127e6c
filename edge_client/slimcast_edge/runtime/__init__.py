"""Runtimes execute an artifact. Every latency that Slimcast shows was measured through this port."""

from slimcast_edge.runtime.catalog import RUNTIMES, open_runtime
from slimcast_edge.runtime.choice import RuntimeChoice
from slimcast_edge.runtime.port import Runtime

__all__ = ["RUNTIMES", "Runtime", "RuntimeChoice", "open_runtime"]

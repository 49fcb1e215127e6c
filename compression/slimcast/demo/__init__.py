"""The demo: the whole main job on one machine, with real data and nothing to download."""

from slimcast.demo.run import run_demo

__all__ = ["run_demo"]

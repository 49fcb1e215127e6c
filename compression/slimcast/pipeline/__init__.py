"""Run a recipe: step by step, each one measured, saved and checked before the next begins.

A run that is started again goes on after its last finished step, with the same result: each step draws its
random numbers from the recipe's seed and its own index, and starts from the checkpoint's exact weights.
"""

from slimcast.pipeline.run import run_recipe

__all__ = ["run_recipe"]

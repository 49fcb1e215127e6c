"""A store in a temporary folder, recipes and variants to put into it, and waiting for conditions."""

from pathlib import Path

from slimcast.recipe import Recipe, parse_recipe
from slimcast.records import Measurement, Variant
from slimcast.settings import Settings

RECIPE = """
version: 1
name: {name}
model: {{name: lenet5}}
data: {{name: digits}}
steps:
  - {{kind: train, epochs: 1}}
  - {{kind: quantize, method: static}}
"""


def make_settings(home: Path, **variables: str) -> Settings:
    return Settings.from_environment({"SLIMCAST_HOME": str(home)} | variables)


def make_recipe(name: str = "lenet5-digits") -> Recipe:
    return parse_recipe(RECIPE.format(name=name))


def make_variant(run_id: str, name: str = "0-train", step: int = 0, accuracy: float = 0.9) -> Variant:
    return Variant(
        run_id=run_id,
        name=name,
        step=step,
        step_kind="train",
        numeric_kind="float32",
        artifact=None,
        measurements=(
            Measurement(name="accuracy", value=accuracy, higher_is_better=True, n=360),
            Measurement(
                name="latency_p50_ms",
                value=0.1 + 0.2,
                unit="ms",
                higher_is_better=False,
                spread=0.01,
                machine="x",
            ),
        ),
    )

"""A store with two models that disagree on some images, and a device that runs the first of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slimcast.fleet.keys import studio_key
from slimcast.recipe import parse_recipe
from slimcast.records import RunState, Variant
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.signing import public_key_to_text
from slimcast_web.services import compress
from support_artifacts import make_artifact
from support_edge import Device
from support_web import measurements

OWN = make_artifact(name="own")
SWAPPED = make_artifact(name="swapped", labels=("dark", "bright", "right", "left"))
"""Takes left for right: it is right on half of the images."""


def store_models(store: Store) -> str:
    """Leave a finished run with both models, "own" and "swapped", in the store; return its id."""
    run = store.create_run(parse_recipe(compress.yaml_of(compress.Draft())))
    store.claim(run.id, "test")
    for step, (name, content, accuracy) in enumerate((("own", OWN, 1.0), ("swapped", SWAPPED, 0.5))):
        store.save_variant(
            Variant(
                run_id=run.id,
                name=name,
                step=step,
                step_kind="train",
                numeric_kind="float32",
                artifact=store.artifacts.put(content),
                measurements=measurements(accuracy, len(content), 2048, 0.02),
            )
        )
    store.finish(run.id, RunState.SUCCEEDED)
    return run.id


@contextmanager
def comparing_device(settings: Settings, folder: Path) -> Iterator[Device]:
    """Run the real client with the first model and the studio's key pinned."""
    own = folder / "own.onnx"
    own.write_bytes(OWN)
    key = public_key_to_text(studio_key(settings).public_key())
    device = Device(folder, settings.effective_broker_url, key=key, model=str(own)).start()
    try:
        yield device
    finally:
        device.stop()

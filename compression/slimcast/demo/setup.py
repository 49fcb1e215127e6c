"""What the demo needs before it can begin: a home of its own, free ports, a recipe."""

import fcntl
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import FrameType

import slimcast
from slimcast.errors import FleetError
from slimcast.ports import check_port, free_port
from slimcast.recipe import Recipe, parse_recipe
from slimcast.settings import Settings

RECIPE = "lenet5-digits-int8.yaml"
LOCAL = "127.0.0.1"


def demo_settings(settings: Settings, say: Callable[[str], None]) -> Settings:
    """Return the settings of the demo's own studio; says which port it takes when the usual one is in use."""
    home = settings.home / "demo"
    broker_port = _usable_port(LOCAL, settings.broker_port, "The broker's", say)
    port = _usable_port(settings.host, settings.port, "The web app's", say)
    return replace(
        settings.with_token(),
        home=home,
        database_url=f"sqlite:///{home / 'slimcast.db'}",
        artifact_url=f"file://{home / 'artifacts'}",
        broker_url="",
        broker_folder=None,
        broker_port=broker_port,
        dask_scheduler="",
        port=port,
    )


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Keep a second demo out of the same folder.

    Raises:
        FleetError: one is running there.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FleetError(
                f"A demo is running in {home} already. Stop it with Ctrl-C, or give this one another folder "
                "with SLIMCAST_HOME."
            ) from error
        yield


def demo_recipe() -> Recipe:
    """Return the recipe: of the installed package, or of the checkout, which is where it is kept."""
    installed = Path(str(files(slimcast))) / "recipes" / RECIPE
    in_checkout = Path(slimcast.__file__).parents[2] / "examples" / "recipes" / RECIPE
    for path in (installed, in_checkout):
        if path.is_file():
            return parse_recipe(path.read_text(encoding="utf-8"))
    raise FleetError(f"The demo's recipe {RECIPE} is missing. Install slimcast again.")


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, so that it stops its children."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _usable_port(host: str, wanted: int, whose: str, say: Callable[[str], None]) -> int:
    try:
        check_port(host, wanted)
    except OSError:
        free = free_port(host)
        say(f"{whose} port {wanted} is in use; taking {free} instead.")
        return free
    return wanted

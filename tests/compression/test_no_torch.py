"""What must start quickly and run on small machines loads no torch; a fresh process tells."""

import importlib.util
import pkgutil

from support_wait import run_python

_MODULES = [
    "slimcast.recipe",
    "slimcast.catalog",
    "slimcast.store",
    "slimcast.jobs.queue",
    "slimcast.jobs.worker",
    "slimcast.search",
    "slimcast.search.run",
    "slimcast.cli",
    "slimcast.fleet",
    "slimcast.fleet.commands",
    "slimcast_edge.client",
    "slimcast_edge.runtime",
]


def _services() -> list[str]:
    spec = importlib.util.find_spec("slimcast_web.services")
    folders = spec.submodule_search_locations if spec else None
    return [
        "slimcast_web.services",
        *(m.name for m in pkgutil.iter_modules(folders, "slimcast_web.services.")),
    ]


def _loaded_by(statements: str, *names: str) -> str:
    code = f"import sys\n{statements}\nprint([n for n in {names!r} if n in sys.modules])"
    done = run_python(code, timeout_s=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_torch():
    imports = "\n".join(f"import {name}" for name in [*_MODULES, *_services()])
    assert _loaded_by(imports, "torch", "torchvision") == "[]"


def test_help_loads_nothing_heavy():
    statements = "import slimcast.cli\ntry:\n    slimcast.cli.app(['--help'])\nexcept SystemExit:\n    pass"
    heavy = (
        "torch",
        "sqlalchemy",
        "pydantic",
        "numpy",
        "distributed",
        "paho",
        "optuna",
        "fsspec",
        "rich.console",
    )
    assert _loaded_by(statements, *heavy).endswith("[]")

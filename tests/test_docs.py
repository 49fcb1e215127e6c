"""The documentation names everything that a user can name."""

import inspect
import re
from pathlib import Path

import pytest

from slimcast import catalog, settings
from slimcast.recipe.training import Augment, Distillation, FinetuneStep
from slimcast.search import SearchDocument, parse_search
from slimcast.search.measures import MEASURES
from slimcast_edge import wire
from slimcast_edge.camera import CAMERAS
from slimcast_edge.errors import Refusal
from slimcast_edge.runtime import RUNTIMES
from slimcast_edge.settings import EdgeSettings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_protocol_page_lists_every_topic_with_its_facts():
    rows = {}
    for line in _page("protocol.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            name = cells[0].strip("`").removeprefix("<device>/")
            rows["blob" if name.startswith("blob/") else name.partition("/<")[0]] = cells[2:5]
    facts = {
        name: ["yes" if info.retained else "no", str(info.qos), str(info.max_bytes)]
        for name, info in wire.TOPICS.items()
    }
    assert rows == facts


@pytest.mark.parametrize("reason", list(Refusal))
def test_protocol_page_names_every_refusal(reason: Refusal):
    assert f"`{reason}`" in _page("protocol.md")


def test_settings_page_lists_every_variable():
    variables = set(re.findall(r'"(SLIMCAST_[A-Z_]+)"', inspect.getsource(settings)))
    documented = set(re.findall(r"`(SLIMCAST_[A-Z_]+)`", _page("settings.md").split("## Tests")[0]))
    assert {name for name in documented if not name.startswith("SLIMCAST_EDGE_")} == variables


@pytest.mark.parametrize("field", sorted(EdgeSettings.model_fields))
def test_settings_page_lists_every_client_setting(field: str):
    assert f"`{field}`" in _page("settings.md")


@pytest.mark.parametrize(
    "registry",
    [
        catalog.MODELS,
        catalog.DATA,
        catalog.STEPS,
        catalog.CRITERIA,
        catalog.FACTORIZERS,
        catalog.QUANTIZERS,
    ],
    ids=["models", "data", "steps", "criteria", "factorizers", "quantizers"],
)
def test_recipes_page_names_every_catalog_entry(registry):
    page = _page("recipes.md")
    assert [name for name in registry.names() if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("part", [FinetuneStep, Distillation, Augment], ids=lambda part: part.__name__)
def test_recipes_page_explains_every_field_of_training(part):
    page = _page("recipes.md")
    assert [name for name in part.model_fields if name != "kind" and f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", [*SearchDocument.model_fields, *MEASURES])
def test_search_page_names_every_field_and_measurement(name: str):
    assert f"`{name}`" in _page("search.md")


def test_search_page_shows_the_search_that_we_ship():
    example = (ROOT / "examples" / "searches" / "lenet5-digits.yaml").read_text(encoding="utf-8")
    shown = _page("search.md").split("```yaml\n")[1].split("```")[0]
    assert parse_search(shown) == parse_search(example)


@pytest.mark.parametrize("registry", [CAMERAS, RUNTIMES], ids=["cameras", "runtimes"])
def test_settings_page_names_every_camera_and_runtime(registry):
    page = _page("settings.md")
    assert [name for name in registry.names() if f"`{name}`" not in page] == []

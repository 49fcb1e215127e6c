"""The catalog: every entry is complete, and names something that is there."""

import pytest

from slimcast import catalog
from slimcast.errors import SlimcastError
from slimcast_edge.errors import DuplicateKind, UnknownKind
from slimcast_edge.registry import KindInfo, Registry

_REGISTRIES = {
    "models": catalog.MODELS,
    "data": catalog.DATA,
    "steps": catalog.STEPS,
    "criteria": catalog.CRITERIA,
    "factorizers": catalog.FACTORIZERS,
    "quantizers": catalog.QUANTIZERS,
}
_ENTRIES = [pytest.param(e, id=f"{s}-{e.name}") for s, registry in _REGISTRIES.items() for e in registry]


@pytest.mark.parametrize("entry", _ENTRIES)
def test_entry_says_what_it_is_and_can_be_loaded(entry: KindInfo):
    assert entry.title
    assert entry.description.endswith(".")
    assert callable(entry.load())


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownKind, match=r"No network named 'lenet6'\. Known: .*lenet5, mobilenet_v2"):
        catalog.MODELS["lenet6"]


def test_a_name_is_taken_once():
    entry = KindInfo(name="a", title="A", description="A.", impl="x:y")
    with pytest.raises(DuplicateKind, match="'a'"):
        Registry("thing", [entry, entry])


def test_entry_whose_implementation_is_missing_raises():
    with pytest.raises(ImportError):
        KindInfo(name="a", title="A", description="A.", impl="slimcast.no_such_module:f").load()


def test_errors_of_a_catalog_are_for_the_user():
    assert issubclass(UnknownKind, SlimcastError)

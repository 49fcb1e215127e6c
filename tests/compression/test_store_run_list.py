"""Pages of runs by text, state and tag; tags; runs that are deleted and come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slimcast.errors import RunNotFound, RunStateError, StoreError
from slimcast.records import RunState
from slimcast.store import Store
from slimcast.store.run_list import MOST_TAGS, RunFilter
from support_store import make_recipe, make_settings, make_variant


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(make_settings(tmp_path))
    yield store
    store.close()


def _ended(store: Store, name: str, state: RunState = RunState.SUCCEEDED) -> str:
    run = store.create_run(make_recipe(name))
    store.claim(run.id, "w")
    store.save_variant(make_variant(run.id))
    store.finish(run.id, state)
    return run.id


def _ids(store: Store, **wanted: object) -> list[str]:
    found = [listed.run.id for listed in store.run_list.page(RunFilter(**wanted))]
    assert store.run_list.count(RunFilter(**wanted)) == len(found)
    assert [name.id for name in store.run_list.names(RunFilter(**wanted), limit=99)] == found
    return found


def test_runs_are_found_by_text_state_tag_and_by_what_they_left(store: Store):
    small, large = _ended(store, "lenet-small"), _ended(store, "vgg-large", RunState.FAILED)
    queued = store.create_run(make_recipe("lenet-queued")).id
    store.run_list.set_tags(small, ["paper", "paper", " for  the talk "])
    newest_first = sorted([small, large, queued], reverse=True)
    assert _ids(store) == newest_first
    assert _ids(store, text="LENET") == [queued, small] if queued > small else [small, queued]
    assert _ids(store, text=large) == [large]
    assert _ids(store, text="%") == []
    assert _ids(store, states=(RunState.FAILED, RunState.CANCELLED)) == [large]
    assert _ids(store, tag="paper") == [small]
    assert set(_ids(store, measured=True)) == {small, large}
    (listed,) = store.run_list.page(RunFilter(tag="paper"))
    assert listed.tags == ("for the talk", "paper")
    assert store.run_list.tags() == ["for the talk", "paper"]
    assert [line.run.id for line in store.run_list.page(RunFilter(), limit=1, offset=1)] == newest_first[1:2]


def test_tags_that_cannot_be(store: Store):
    run = store.create_run(make_recipe()).id
    store.run_list.set_tags(run, ["kept"])
    with pytest.raises(StoreError, match="cannot be a tag"):
        store.run_list.set_tags(run, ["<b>"])
    with pytest.raises(StoreError, match=f"up to {MOST_TAGS} tags"):
        store.run_list.set_tags(run, [f"t{i}" for i in range(MOST_TAGS + 1)])
    with pytest.raises(RunNotFound):
        store.run_list.set_tags("nosuchrun0", ["a"])
    assert store.run_list.tags() == ["kept"]
    assert store.run_list.set_tags(run, []) == ()
    assert store.run_list.tags() == []


def test_a_deleted_run_is_out_of_sight_and_comes_back_whole(store: Store):
    kept, gone = _ended(store, "kept"), _ended(store, "gone")
    store.run_list.delete([gone])
    assert _ids(store) == [kept]
    assert [run.id for run in store.runs()] == [kept]
    assert store.count_runs() == 1
    assert _ids(store, deleted=True) == [gone]
    assert store.run(gone).deleted_at is not None
    store.run_list.restore([gone])
    assert set(_ids(store)) == {kept, gone}
    assert store.run(gone).deleted_at is None
    assert [variant.name for variant in store.variants(gone)] == ["0-train"]


def test_what_waits_or_runs_is_not_deleted_and_neither_is_what_comes_with_it(store: Store):
    ended, queued = _ended(store, "ended"), store.create_run(make_recipe()).id
    with pytest.raises(RunStateError, match="Cancel it"):
        store.run_list.delete([ended, queued])
    assert _ids(store, deleted=True) == []


def test_variants_of_several_runs_are_not_mixed_up(store: Store):
    one, two = store.create_run(make_recipe()).id, store.create_run(make_recipe()).id
    store.save_variant(make_variant(one, accuracy=0.5))
    store.save_variant(make_variant(two, accuracy=0.7))
    found = {variant.run_id: variant.value("accuracy") for variant in store.variants_of([one, two])}
    assert found == {one: 0.5, two: 0.7}

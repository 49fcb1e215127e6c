"""The list of runs: pages, filters, tags, several at once, deleting and the way back."""

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from streamlit.testing.v1 import AppTest

from slimcast.errors import RunStateError
from slimcast.records import RunState
from slimcast.store.run_list import RunFilter
from slimcast_web.components import navigation
from slimcast_web.services import run_pages, tradeoffs
from support_seed import seed
from support_wait import PATIENCE
from support_web import finished_run, running_run


def page(**query: str) -> AppTest:
    script = "from slimcast_web.pages import runs\nruns.show()"
    test = AppTest.from_string(script, default_timeout=60 * PATIENCE)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def texts(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements)


def button(test: AppTest, label: str):
    return next(one for one in test.button if one.label == label)


class TestPages:
    def test_a_page_outside_of_the_list_is_the_nearest_one(self, opened):
        seed(opened.store, runs=60, variants=1)
        assert [run_pages.page(opened, RunFilter(), index).index for index in (-3, 1, 99)] == [0, 1, 2]
        last = run_pages.page(opened, RunFilter(), 99)
        assert (len(last.lines), last.total, last.pages) == (10, 60, 3)
        assert run_pages.page(opened, RunFilter(text="nosuch"), 0).pages == 1

    def test_the_queries_are_as_many_however_many_runs(self, opened):
        ids = seed(opened.store, runs=40, variants=2)
        queries: list[str] = []

        def note(_connection, _cursor, statement, *_rest):
            queries.append(statement) if statement.startswith("SELECT") else None

        event.listen(Engine, "before_cursor_execute", note)
        try:
            run_pages.page(opened, RunFilter(), 0)
            assert len(queries) == 3
            queries.clear()
            tradeoffs.runs_with_variants(opened)
            assert len(tradeoffs.points(opened, ids)) == 80
            assert len(queries) == 4  # names, runs, variants, measurements
            queries.clear()
            tradeoffs.points(opened, ids)
            assert len(queries) == 1  # what has ended is read once
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    def test_a_run_that_was_taken_up_again_is_read_again(self, opened):
        run = running_run(opened.store)
        opened.store.finish(run.id, RunState.FAILED, "no")
        assert tradeoffs.points(opened, [run.id]) == []
        opened.store.requeue(run.id)
        opened.store.claim(run.id, "test")
        variant = opened.store.variants(finished_run(opened.store).id)[0]
        opened.store.save_variant(type(variant)(**{**vars(variant), "run_id": run.id}))
        assert len(tradeoffs.points(opened, [run.id])) == 1
        opened.store.finish(run.id, RunState.SUCCEEDED)
        assert len(tradeoffs.points(opened, [run.id])) == 1

    def test_what_runs_cannot_be_deleted(self, opened):
        with pytest.raises(RunStateError):
            run_pages.delete(opened, [running_run(opened.store).id])


class TestPage:
    def test_older_runs_are_on_the_next_page(self, opened):
        ids = sorted(seed(opened.store, runs=30, variants=1), reverse=True)
        test = page()
        assert list(test.dataframe[0].value["run"]) == ids[:25]
        assert "30 runs · page 1 of 2" in texts(test.caption)
        button(test, "Older").click().run()
        assert list(test.dataframe[0].value["run"]) == ids[25:]
        test.text_input(key="runs-text").set_value(ids[3]).run()
        assert list(test.dataframe[0].value["run"]) == ids[3:4]
        assert "1 run · page 1 of 1" in texts(test.caption)

    def test_a_filter_that_nothing_passes_says_so(self, opened):
        finished_run(opened.store)
        test = page()
        test.multiselect(key="runs-state").set_value([RunState.FAILED]).run()
        assert "No run is like that" in texts(test.info)
        assert not test.exception

    def test_a_link_to_a_run_on_another_page_shows_it(self, opened):
        ids = sorted(seed(opened.store, runs=30, variants=1))
        test = page(run=ids[0])
        assert test.selectbox(key="runs-chosen").value == ids[0]
        assert f"run {ids[0]}" in texts(test.caption)
        test.selectbox(key="runs-chosen").set_value(ids[-1]).run()
        assert f"run {ids[-1]}" in texts(test.caption)

    def test_tags_are_kept_and_filter_the_list(self, opened):
        one, two = finished_run(opened.store), finished_run(opened.store)
        opened.store.run_list.set_tags(two.id, ["paper"])
        test = page(run=one.id)
        test.multiselect(key=f"run-tags-{one.id}").set_value(["paper"]).run()
        assert opened.store.run_list.tags_of(one.id) == ("paper",)
        opened.store.run_list.set_tags(one.id, [])
        test = page()
        test.selectbox(key="runs-tag").set_value("paper").run()
        assert list(test.dataframe[0].value["run"]) == [two.id]
        assert list(test.dataframe[0].value["tags"][0]) == ["paper"]

    def test_a_tag_that_cannot_be_is_a_sentence(self, opened):
        run = finished_run(opened.store)
        test = page(run=run.id)
        test.session_state[f"run-tags-{run.id}"] = ["<b>"]
        test.run()
        assert not test.exception
        assert "cannot be a tag" in texts(test.code)
        assert opened.store.run_list.tags_of(run.id) == ()

    def test_several_are_deleted_and_come_back(self, opened, monkeypatch):
        ids = [finished_run(opened.store).id for _ in range(3)]
        gone = sorted(ids, reverse=True)[:2]
        monkeypatch.setattr("slimcast_web.components.run_table.ticks", lambda *_: gone)
        test = page()
        button(test, "Delete 2 runs").click().run()
        assert list(test.dataframe[0].value["run"]) == sorted(ids)[:1]
        assert "2 runs deleted." in texts(test.caption)
        button(test, "Undo").click().run()
        assert len(test.dataframe[0].value) == 3

    def test_a_deleted_run_is_found_and_restored(self, opened):
        run, _ = finished_run(opened.store), finished_run(opened.store)
        run_pages.delete(opened, [run.id])
        test = page()
        test.toggle(key="runs-deleted").set_value(True).run()
        assert list(test.dataframe[0].value["run"]) == [run.id]
        button(test, "Restore").click().run()
        assert opened.store.run(run.id).deleted_at is None

    def test_ticked_runs_are_compared(self, opened, monkeypatch):
        ids = [finished_run(opened.store).id for _ in range(2)]
        went: list[tuple[str, dict]] = []
        monkeypatch.setattr("slimcast_web.components.run_table.ticks", lambda *_: ids)
        monkeypatch.setattr(navigation, "go", lambda name, **query: went.append((name, query)))
        test = page()
        button(test, "Compare").click().run()
        assert went == [("tradeoffs", {"run": ids})]

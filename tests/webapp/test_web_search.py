"""The Search page and its service, on a real store and a real study."""

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.errors import RunNotFound
from slimcast.records import RunState
from slimcast_web.components import navigation
from slimcast_web.services import search
from support_search import search_text
from support_wait import PATIENCE
from support_web import made_up_search


def page(**query: str) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import search\nsearch.show()", default_timeout=60 * PATIENCE
    )
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def button(test: AppTest, label: str):
    return next(found for found in test.button if found.label == label)


class TestService:
    def test_examples_can_start_as_they_are(self):
        assert search.examples()
        assert all(search.problems(text) == [] for text in search.examples().values())

    def test_all_problems_of_a_text(self):
        found = search.problems(search_text(trials="trials: no", objectives="objectives: []"))
        assert [path for path, _ in found] == ["objectives", "trials"]

    def test_what_was_found(self, opened):
        made = made_up_search(opened.store)
        detail = search.detail(opened, made.id)
        assert [search.status_of(t) for t in detail.result.trials] == [
            "done",
            "over budget",
            "over budget",
            "failed",
        ]
        assert [t.number for t in detail.result.front] == [0]
        assert detail.figures[:3] == ["accuracy", "size_bytes", "accuracy_drop"]
        assert [t.number for t in detail.front_of("size_bytes", "accuracy")] == [0]

    def test_figures_are_shown_with_their_units(self):
        assert search.head("accuracy") == "accuracy, %"
        assert search.shown("accuracy", 0.5) == 50
        assert search.head("size_bytes") == "size of the file, bytes"
        assert search.head("macs") == "multiply-accumulates"

    def test_a_search_that_has_not_begun_has_no_trials(self, opened):
        queued = search.start(opened, search_text())
        detail = search.detail(opened, queued.id)
        assert (detail.result.trials, detail.result.best_found, detail.log) == ((), None, [])

    def test_an_unknown_one_is_named(self, opened):
        with pytest.raises(RunNotFound, match="nosuch"):
            search.detail(opened, "nosuch")


class TestPage:
    def test_nothing_there_offers_an_example(self, opened):
        test = page()
        assert not test.exception
        assert "No search yet" in texts(test.info)
        assert "objectives:" in test.text_area[0].value
        assert not button(test, "Start search").disabled

    def test_all_errors_are_listed_and_it_cannot_start(self, opened):
        test = page()
        test.text_area[0].set_value(search_text(trials="trials: no", objectives="objectives: []")).run()
        assert "2 errors" in test.error[0].value
        assert "objectives" in texts(test.code)
        assert button(test, "Start search").disabled

    def test_start_queues_it_and_goes_to_it(self, opened, monkeypatch):
        gone = []
        monkeypatch.setattr(navigation, "go", lambda name, **query: gone.append((name, query)))
        button(page(), "Start search").click().run()
        [queued] = opened.store.searches.newest()
        assert queued.state is RunState.QUEUED
        assert gone == [("search", {"search": queued.id})]
        shown = page(search=queued.id)
        assert not shown.exception
        assert queued.name in texts(shown.subheader)
        assert "No trial has begun yet" in texts(shown.caption)

    def test_trials_link_to_their_runs(self, opened):
        made = made_up_search(opened.store)
        test = page(search=made.id)
        assert not test.exception
        table = test.dataframe[0].value
        assert table["run"][0] == "/runs?run=run0000000"
        assert list(table["end"]) == ["done", "over budget", "over budget", "failed"]
        assert "1 recipe on the Pareto front" in texts(test.success)

    def test_nothing_within_the_budgets_is_said(self, opened, monkeypatch):
        made = made_up_search(opened.store, trials=4)
        detail = search.detail(opened, made.id)
        over = tuple(t for t in detail.result.trials if not t.within_budgets)
        assert over
        monkeypatch.setattr(
            "slimcast_web.services.search.result_of",
            lambda *_: search.SearchResult(trials=over, front=(), best_found=over[0]),
        )
        test = page(search=made.id)
        assert not test.exception
        assert "Nothing is within the budgets yet" in texts(test.warning)

    def test_cancel_and_resume(self, opened):
        queued = search.start(opened, search_text())
        opened.store.searches.claim(queued.id, "w")
        button(page(search=queued.id), "Cancel").click().run()
        assert opened.store.searches.get(queued.id).cancel_requested
        opened.store.searches.finish(queued.id, "w", RunState.CANCELLED)
        button(page(search=queued.id), "Resume").click().run()
        assert opened.searches.resumed == [queued.id]

    def test_a_failure_is_shown_in_its_words(self, opened):
        queued = search.start(opened, search_text())
        opened.store.searches.claim(queued.id, "w")
        opened.store.searches.finish(queued.id, "w", RunState.FAILED, "<img src=x> is no recipe")
        test = page(search=queued.id)
        assert "<img" in texts(test.code)
        assert "<img" not in texts(test.markdown)

    def test_a_wrong_address_is_a_sentence(self, opened):
        made_up_search(opened.store)
        test = page(search="nosuch")
        assert not test.exception
        assert "nosuch" in texts(test.code)

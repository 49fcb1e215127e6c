"""Every page as Streamlit runs it, on a real store; and that no page loads torch."""

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.records import EventKind, RunState
from slimcast_edge.wire import DeviceState
from slimcast_web.components import device_card
from slimcast_web.services import compress, studio
from support_wait import PATIENCE, run_python
from support_web import device, finished_run, running_run

PAGES = ("home", "compress", "runs", "tradeoffs", "search", "fleet", "live", "settings")


def page(name: str, **query: str) -> AppTest:
    test = AppTest.from_string(
        f"from slimcast_web.pages import {name}\n{name}.show()", default_timeout=60 * PATIENCE
    )
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("name", PAGES)
def test_with_nothing_there_it_says_what_to_do(opened, name):
    test = page(name)
    assert not test.exception
    if name not in {"home", "compress", "settings"}:
        assert test.info, "an empty page must say so"


@pytest.mark.parametrize("name", PAGES)
def test_without_a_studio_it_says_so(name):
    studio.use(None)
    test = page(name)
    assert not test.exception
    assert "slimcast app" in test.error[0].value


@pytest.mark.parametrize("name", PAGES)
def test_with_everything_there_it_renders(opened, name):
    finished_run(opened.store)
    running_run(opened.store)
    opened.hub.known = [device(), device("shed", online=False, state=DeviceState.DOWNLOADING, progress=0.5)]
    test = page(name)
    assert not test.exception
    assert not test.error


class TestRuns:
    def test_the_address_names_the_run(self, opened):
        first = finished_run(opened.store, compress.Draft(keep_macs=25))
        finished_run(opened.store)
        test = page("runs", run=first.id)
        assert first.name in texts(test.subheader)
        assert first.id in texts(test.caption)

    def test_a_wrong_address_is_a_sentence(self, opened):
        finished_run(opened.store)
        test = page("runs", run="nosuchrun0")
        assert not test.exception
        assert "nosuchrun0" in texts(test.code)

    def test_cancel_asks_the_run_to_stop(self, opened):
        run = running_run(opened.store)
        test = page("runs")
        next(button for button in test.button if button.label == "Cancel").click().run()
        assert opened.store.run(run.id).cancel_requested

    def test_resume_queues_it_again(self, opened):
        run = running_run(opened.store)
        opened.store.finish(run.id, RunState.FAILED, "The disk is full.")
        test = page("runs")
        assert "The disk is full." in texts(test.code)
        next(button for button in test.button if button.label == "Resume").click().run()
        assert opened.store.run(run.id).state is RunState.QUEUED

    def test_log_and_recipe_of_a_finished_run_are_sent_once_they_are_opened(self, opened):
        run = finished_run(opened.store)
        opened.store.add_events(run.id, [(1.0, EventKind.LOG, {"text": "Read ten images."})])
        test = page("runs")
        assert "Read ten images." not in texts(test.code)
        assert "kind: quantize" not in texts(test.code)
        test.session_state[f"log-{run.id}-succeeded"] = True
        test.session_state[f"source-{run.id}"] = True
        test.run()
        assert "Read ten images." in texts(test.code)
        assert "kind: quantize" in texts(test.code)

    def test_the_log_of_a_run_that_failed_is_open(self, opened):
        run = running_run(opened.store)
        opened.store.add_events(run.id, [(1.0, EventKind.LOG, {"text": "Read ten images."})])
        assert "Read ten images." in texts(page("runs").code)
        opened.store.finish(run.id, RunState.FAILED, "The disk is full.")
        assert "Read ten images." in texts(page("runs").code)

    def test_a_name_is_never_taken_for_html(self, opened):
        run = running_run(opened.store)
        opened.store.finish(run.id, RunState.FAILED, "<img src=x onerror=alert(1)>")
        test = page("runs")
        assert "<img" in texts(test.code)
        assert "<img" not in texts(test.markdown)


class TestTradeoffs:
    def test_a_variant_is_compared_with_its_baseline(self, opened):
        finished_run(opened.store)
        test = page("tradeoffs")
        assert "8.0 times smaller" in texts(test.markdown)
        assert test.metric[0].value == "96.90 %"
        assert "Example CPU" in texts(test.caption)

    def test_several_runs_are_compared(self, opened):
        one, two = finished_run(opened.store), finished_run(opened.store, compress.Draft(keep_macs=70))
        test = page("tradeoffs", run=one.id, show="table")
        test.multiselect[0].set_value([one.id, two.id]).run()
        assert not test.exception
        assert len(test.dataframe[0].value) == 8


class TestFleet:
    def test_publish_orders_what_was_chosen(self, opened):
        run = finished_run(opened.store)
        opened.hub.known = [device("cam1"), device("cam2")]
        test = page("fleet", run=run.id, variant="2-finetune", device="cam2")
        next(button for button in test.button if button.label == "Publish").click().run()
        assert opened.hub.orders[0][0] == "cam2"
        assert opened.hub.orders[0][2].endswith("2-finetune")
        assert "revision 7" in texts(test.success)

    def test_a_refusal_is_shown_in_its_words(self, opened):
        finished_run(opened.store)
        opened.hub.known = [device()]
        opened.hub.refusal = "cam1 has pinned another studio's key."
        test = page("fleet")
        next(button for button in test.button if button.label == "Publish").click().run()
        assert "pinned another" in texts(test.code)

    def test_a_broker_that_is_away_is_said(self, opened):
        opened.hub.connected = False
        opened.problems.append("The embedded broker did not start. Port 1883 is taken.")
        test = page("fleet")
        assert "broker does not answer" in texts(test.warning)
        assert "1883 is taken" in texts(test.code)

    def test_rollback(self, opened):
        opened.hub.known = [device()]
        test = page("fleet")
        test.session_state["history-cam1"] = True
        test.run()
        next(button for button in test.button if button.label == "Roll back").click().run()
        assert opened.hub.commands == [("cam1", "rollback")]


def test_a_state_that_went_by_unseen_counts_as_passed():
    path = device_card._path(DeviceState.WARMING, [DeviceState.DOWNLOADING])
    marks = [word.split()[0] for word in path]
    check, now, ahead = ":material/check:", ":material/arrow_forward:", ":material/radio_button_unchecked:"
    assert marks == [check, check, now, ahead, ahead]


def test_no_page_loads_torch():
    code = (
        "import sys\n"
        "import slimcast_web.app, slimcast_web.server\n"
        f"from slimcast_web.pages import {', '.join(PAGES)}\n"
        "import slimcast.jobs.queue, slimcast.fleet.hub, slimcast.fleet.broker\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in {'torch', 'torchvision'}))"
    )
    done = run_python(code, timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

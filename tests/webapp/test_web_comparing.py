"""Two models on one camera: what the Live page and its address ask for, and what its socket does about it."""

import json
import warnings
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from slimcast.fleet.comparing import Comparison, Tally
from slimcast.records import Variant
from slimcast_web.app import routes
from slimcast_web.components import live_wall
from slimcast_web.services import comparing
from slimcast_web.services.comparing import Comparisons, SecondModel
from support_artifacts import make_artifact
from support_wait import PATIENCE, wait_for
from support_web import device, finished_run, running_run

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

B, C = "b" * 64, "c" * 64


@pytest.fixture
def walls(monkeypatch):
    """What the page has told the wall to compare, by camera."""
    shown = []
    monkeypatch.setattr(
        live_wall, "show", lambda devices=(), *, kiosk=False, compare=(): shown.append(dict(compare))
    )
    return shown


def page(**query: str) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import live\nlive.show()", default_timeout=60 * PATIENCE
    )
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def artifact_of(opened, run, name):
    return next(v.artifact for v in opened.store.variants(run.id) if v.name == name)


class TestChoice:
    @pytest.fixture
    def run(self, opened):
        opened.hub.known = [device("cam1"), device("cam2")]
        return finished_run(opened.store)

    def test_a_second_model_goes_to_the_wall_and_into_the_address(self, opened, walls, run):
        test = page()
        assert walls[-1] == {}
        test.toggle(key="live-compare-on").set_value(True).run()
        test.selectbox(key="live-compare-camera").set_value("cam2").run()
        test.selectbox(key="live-compare-variant").set_value("0-train").run()
        second = SecondModel(artifact=artifact_of(opened, run, "0-train"), name=f"{run.name} 0-train")
        assert walls[-1] == {"cam2": second}
        assert test.query_params["compare"] == "cam2"
        assert test.query_params["run"] == run.id
        assert test.query_params["variant"] == "0-train"
        test.toggle(key="live-compare-on").set_value(False).run()
        assert walls[-1] == {}
        assert "compare" not in test.query_params
        assert "variant" not in test.query_params

    @pytest.mark.parametrize("kiosk", ["", "1"])
    def test_the_address_alone_brings_it_back(self, opened, walls, run, kiosk):
        page(compare="cam1", run=run.id, variant="3-int8", kiosk=kiosk)
        assert walls[-1]["cam1"].artifact == artifact_of(opened, run, "3-int8")

    def test_a_camera_that_has_not_reported_yet_stays_chosen(self, opened, walls, run):
        page(compare="later", run=run.id, variant="3-int8")
        assert list(walls[-1]) == ["later"]

    @pytest.mark.parametrize(
        "change", [{"compare": "<b>"}, {"run": "nosuch"}, {"variant": "nosuch"}, {"compare": ""}]
    )
    def test_what_is_not_there_is_not_compared(self, opened, walls, run, change):
        page(**{"compare": "cam1", "run": run.id, "variant": "3-int8", "kiosk": "1"} | change)
        assert walls[-1] == {}

    def test_a_camera_that_is_not_shown_is_not_compared(self, opened, walls, run):
        page(compare="cam1", run=run.id, variant="3-int8", device="cam2")
        assert walls[-1] == {}

    @pytest.mark.parametrize(("labels", "warns"), [(("cat", "dog"), True), (("cat", "dark"), False)])
    def test_models_without_a_common_label_are_told_before_they_run(self, opened, walls, labels, warns):
        """The device runs one of dark, bright, left, right; [brackets] in a name are no Markdown."""
        run = running_run(opened.store)
        files = make_artifact(), make_artifact(name="pets", labels=[*labels, "c", "d"])
        for step, content in enumerate(files):
            variant = Variant(
                run_id=run.id, name=f"{step}-train", step=step, step_kind="train", numeric_kind="float32",
                artifact=opened.store.artifacts.put(content), measurements=(),
            )  # fmt: skip
            opened.store.save_variant(variant)
        active = artifact_of(opened, run, "0-train")
        known = device("cam1")
        reported = known.reported.model_copy(update={"active": active, "active_name": "[halves]"})
        opened.hub.known = [replace(known, reported=reported)]
        test = page(compare="cam1", run=run.id, variant="1-train")
        said = "\n".join(warning.value for warning in test.warning)
        assert ("have no label in common" in said) == warns
        assert not warns or "\\[halves\\]" in said
        assert walls[-1], "it may be compared all the same"
        assert not page(compare="cam1", run=run.id, variant="0-train").warning

    def test_without_a_run_it_says_so(self, opened, walls):
        opened.hub.known = [device("cam1")]
        test = page()
        test.toggle(key="live-compare-on").set_value(True).run()
        assert "No run has left a model yet" in "\n".join(c.value for c in test.caption)
        assert walls[-1] == {}


@pytest.mark.parametrize(
    "message",
    [None, [], "cam1", {"cam1": B}, {"cam1": {"artifact": B}}, {"cam1": {"artifact": 3, "name": "b"}},
     {"a/b": {"artifact": B, "name": "b"}}, {"cam1": {"artifact": "b", "name": "b"}}],
)  # fmt: skip
def test_rubbish_asks_for_nothing(message):
    assert comparing.asked(message) == {}


def test_what_a_browser_asks_for_is_bounded():
    message = {f"cam{number}": {"artifact": B, "name": "x" * 999} for number in range(100)}
    found = comparing.asked(message)
    assert len(found) == comparing.MAX_COMPARED
    assert len(found["cam1"].name) == 200


class TestSocket:
    @pytest.fixture
    def socket(self, opened):
        opened.hub.known = [device("cam1"), device("cam2")]
        client = TestClient(Starlette(routes=routes()), base_url="http://127.0.0.1:8501")
        with client.websocket_connect("ws://127.0.0.1:8501/api/live") as connected:
            yield connected

    def ask(self, socket, **second):
        compare = {name: {"artifact": sha256, "name": "b"} for name, sha256 in second.items()}
        socket.send_text(json.dumps({"devices": "*", "compare": compare}))

    def told(self, socket, state):
        while True:
            message = socket.receive_json()
            if message.get("compare", {}).get("cam1", {}).get("state") == state:
                return message["compare"]["cam1"]

    def test_what_a_tab_compares_ends_when_it_asks_no_more_or_closes(self, opened, socket):
        joined = opened.hub.comparing.joined
        self.ask(socket, cam1=B)
        wait_for(lambda: joined.get("cam1", ("",))[0] == B, "cam1 to be compared")
        self.ask(socket, cam1=C, cam2=B)
        wait_for(lambda: {n: j[0] for n, j in joined.items()} == {"cam1": C, "cam2": B}, "the change")
        self.ask(socket, cam2=B)
        wait_for(lambda: list(joined) == ["cam2"], "cam1 to be free")
        socket.close()
        wait_for(lambda: joined == {}, "the closed tab to compare nothing")

    def test_the_tab_hears_how_it_stands(self, opened, socket):
        tally = Tally(frames=4, agreed=3, known=4, first_right=4, second_right=3, first_ms=1, second_ms=2)
        now = Comparison(device="cam1", artifact=B, name="b", state="running", tally=tally)
        opened.hub.comparing.standing["cam1"] = now
        self.ask(socket, cam1=B)
        told = self.told(socket, "running")
        assert (told["frames"], told["agreed"], told["right"], told["ms"]) == (4, 3, [4, 3], [1, 2])
        opened.hub.comparing.standing["cam1"] = replace(now, state="ended", message="It broke.")
        assert self.told(socket, "ended")["message"] == "It broke."

    def test_a_refusal_is_said_until_it_is_asked_anew(self, opened, socket):
        opened.hub.comparing.refusal = "cam1 compares a for another page."
        self.ask(socket, cam1=B)
        assert self.told(socket, "ended")["message"] == "cam1 compares a for another page."
        opened.hub.comparing.refusal = ""
        self.ask(socket)
        self.ask(socket, cam1=B)
        wait_for(lambda: "cam1" in opened.hub.comparing.joined, "cam1 to be compared")

    def test_what_a_thread_asks_for_after_the_tab_has_closed_is_not_compared(self, opened):
        tab = Comparisons(opened.hub, "tab")
        tab.close()
        tab.want({"cam1": SecondModel(artifact=B, name="b")})
        assert opened.hub.comparing.joined == {}

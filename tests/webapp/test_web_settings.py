"""Settings: what it shows, and what it never shows."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.errors import RunNotFound
from slimcast_web.services import installation
from support_wait import PATIENCE
from support_web import finished_run, running_run

TOKEN = "secret-token-of-this-studio"


def page() -> AppTest:
    return AppTest.from_string(
        "from slimcast_web.pages import settings\nsettings.show()", default_timeout=60 * PATIENCE
    ).run()


def everything(test: AppTest) -> str:
    found = [
        str(element.value) for kind in ("text", "code", "caption", "markdown") for element in test.get(kind)
    ]
    return "\n".join(found + [frame.value.to_string() for frame in test.dataframe])


def test_every_setting_names_its_variable(opened):
    named = {name for place in installation.places(opened) for name in place.variable.split(", ")}
    environment = set(opened.settings.to_environment())
    assert named <= environment
    assert {"SLIMCAST_HOME", "SLIMCAST_DATA_ROOT", "SLIMCAST_WEIGHTS_ROOT", "SLIMCAST_BROKER_URL"} <= named


def test_the_token_is_shown_only_when_asked_for(opened):
    opened.settings = replace(opened.settings, token=TOKEN)
    test = page()
    assert not test.exception
    assert TOKEN not in everything(test)
    test.toggle(key="settings-token").set_value(True).run()
    assert TOKEN in everything(test)


def test_no_password_is_shown(opened):
    opened.settings = replace(
        opened.settings,
        broker_url="mqtt://studio:hunter2@broker:1883",
        database_url="postgresql://slimcast:hunter2@db/slimcast",
    )
    test = page()
    assert "hunter2" not in everything(test)
    assert "studio:***@broker" in everything(test)


@pytest.mark.parametrize(("token", "shown"), [("short", "•" * 12), (TOKEN, "•" * 12 + "udio")])
def test_a_masked_token_keeps_little(token, shown):
    assert installation.masked_token(token) == shown


def test_storage_is_counted_when_asked_for(opened):
    opened.store.artifacts.put(b"x" * 1000)
    test = page()
    assert len(test.dataframe) == 2
    test.toggle(key="settings-storage").set_value(True).run()
    assert not test.exception
    rows = {row["what"]: row for row in test.dataframe[1].value.to_dict("records")}
    assert rows["Artifacts"]["size"] == "1.00 kB"
    assert rows["Artifacts"]["files"] == "1"


def test_the_key_is_shown_by_its_fingerprint(opened):
    assert installation.key_fingerprint(opened) in everything(page())
    (opened.settings.keys_folder / "studio.pem").write_text("rubbish")
    test = page()
    assert not test.exception
    assert "studio.pem" in everything(test)


def test_versions_name_what_decides_about_figures():
    found = installation.versions()
    assert {"Python", "slimcast", "onnxruntime", "torch"} <= set(found)


def test_the_disk_is_freed_once_it_has_been_confirmed(opened):
    gone, kept = finished_run(opened.store), finished_run(opened.store)
    opened.store.run_list.delete([gone.id])
    test = page()
    assert "0 deleted runs: 0 B in 0 files that nothing else uses." in everything(test)
    test.number_input(key="disk-days").set_value(0).run()
    assert "1 deleted run: " in everything(test)
    assert "in 4 files that nothing else uses." in everything(test)
    test.button(key="disk-free").click().run()
    assert not test.exception
    assert test.success[0].value.startswith("Freed ")
    assert [run.id for run in opened.store.runs()] == [kept.id]
    with pytest.raises(RunNotFound):
        opened.store.run(gone.id)
    assert all(opened.store.artifacts.exists(one.artifact) for one in opened.store.variants(kept.id))


def test_why_the_disk_cannot_be_freed_is_said(opened):
    gone = finished_run(opened.store)
    opened.store.run_list.delete([gone.id])
    busy = running_run(opened.store)
    test = page()
    test.number_input(key="disk-days").set_value(0).run()
    test.button(key="disk-free").click().run()
    assert f"Run {busy.id} is at work" in everything(test)
    assert opened.store.run(gone.id).id == gone.id

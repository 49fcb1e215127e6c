"""On the Fleet page: one-time codes for new cameras, why the broker is away, withdrawn models."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from slimcast_edge.exchange import DeviceSide, read_code
from slimcast_web.services import qr
from support_wait import PATIENCE
from support_web import device, finished_run


def page():
    script = "from slimcast_web.pages import fleet\nfleet.show()"
    test = AppTest.from_string(script, default_timeout=60 * PATIENCE).run()
    assert not test.exception
    return test


def press(test, label):
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception
    return test


@pytest.fixture
def codes(opened):
    """Ask the page for a code; return what it shows."""

    def make(name):
        test = page()
        test.text_input(key="enrol-name").set_value(name)
        press(test, "Make a one-time code")
        return [code.value for code in test.code]

    return make


def test_a_code_is_made_and_works(opened, codes):
    [line] = [text for text in codes("cam1") if "--code" in text]
    assert line.startswith("slimcast-edge enroll --studio http")
    side = DeviceSide(read_code(line.rpartition(" ")[2]))
    answer = opened.enrolment.answer(side.request.model_dump_json().encode(), "10.0.0.1")
    assert side.open(answer).device == "cam1"


def test_the_command_is_there_as_a_qr_code(opened):
    test = page()
    test.text_input(key="enrol-name").set_value("cam1")
    press(test, "Make a one-time code")
    [line] = [code.value for code in test.code if "--code" in code.value]
    [shown] = test.get("image")
    assert [image.caption for image in shown.proto.imgs] == ["The command as a QR code"]
    assert qr.svg(line) == qr.svg(line)
    assert qr.svg(line) != qr.svg(line + "0")
    drawn = ElementTree.fromstring(qr.svg("<script>"))
    assert {element.tag.rpartition("}")[2] for element in drawn.iter()} == {"svg", "path"}
    with pytest.raises(ValueError, match="too many"):
        qr.svg("x" * 3000)


@pytest.mark.parametrize("name", ["", "studio", "a b"])
def test_a_name_that_cannot_be_is_refused_in_a_sentence(codes, name):
    shown = codes(name)
    assert not [text for text in shown if "--code" in text]
    assert [text for text in shown if "cannot be" in text or "can be named" in text]


def test_a_device_is_expelled_once_it_has_been_confirmed(opened):
    opened.hub.known = [device("cam1"), device("cam2")]
    opened.store.devices.seen({"cam1": 1.0, "cam2": 1.0})
    test = AppTest.from_string(
        "import streamlit as st\nst.session_state['device-editor'] = True\n"
        "from slimcast_web.pages import fleet\nfleet.show()",
        default_timeout=60 * PATIENCE,
    ).run()
    test.selectbox(key="device-expel").set_value("cam2").run()
    assert opened.store.expulsions.names() == []
    test.button(key="device-expel-sure").click().run()
    assert not test.exception
    assert opened.store.expulsions.names() == ["cam2"]
    assert [one.name for one in opened.store.devices.all()] == ["cam1"]
    assert [one.name for one in opened.hub.known] == ["cam1"]


def test_why_the_broker_is_away_is_said(opened):
    opened.hub.connected = False
    opened.hub.broker_problem = "The broker mqtts://h:8883 cannot be used: its certificate has expired."
    assert opened.hub.broker_problem in [code.value for code in page().code]


def test_a_model_is_withdrawn_and_allowed_again(opened):
    run = finished_run(opened.store)
    chosen = next(v for v in opened.store.variants(run.id) if v.name == "3-int8")
    known = device("cam1")
    runs_it = known.reported.model_copy(update={"active": chosen.artifact})
    opened.hub.known = [replace(known, reported=runs_it)]
    test = page()
    test.selectbox(key="withdraw-model").set_value(f"{run.name} 3-int8")
    test.text_input(key="withdraw-reason").set_value("<b>sees cats</b>")
    press(test, "Withdraw")
    assert opened.store.withdrawals.get(chosen.artifact).reason == "<b>sees cats</b>"
    [shown] = [text.value for text in test.text if "sees cats" in text.value]
    assert "On: cam1" in shown
    press(test, "Allow again")
    assert opened.store.withdrawals.all() == []

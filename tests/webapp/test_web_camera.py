"""How a camera looks, on its card: what is ordered, and what becomes of it."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from slimcast_edge import wire
from slimcast_edge.wire import CameraView, DeviceState
from support_wait import PATIENCE
from support_web import device

ORDERED = CameraView(rotation=90, mirror=True, region=(0.1, 0.0, 0.6, 1.0), exposure_ms=4.0, gain=2.0)


def camera(view=None, **options):
    """A camera; with an order for its view, if there is one."""
    made = device(**options)
    if view is None:
        return made
    return replace(made, desired=wire.Desired(site="lab", device="cam1", revision=3, camera=view))


def opened_panel():
    """The Fleet page with the camera's panel open."""
    test = AppTest.from_string(
        "from slimcast_web.pages import fleet\nfleet.show()", default_timeout=60 * PATIENCE
    ).run()
    test.session_state["camera-cam1"] = True
    return test.run()


def order(test):
    next(button for button in test.button if button.label == "Order this view").click().run()
    assert not test.exception
    return test


def texts(elements):
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("view", [CameraView(), ORDERED])
def test_the_form_shows_what_is_ordered_and_orders_it_unchanged(opened, view):
    opened.hub.known = [camera(view)]
    order(opened_panel())
    assert opened.hub.views == [("cam1", view)]


def test_what_is_changed_is_ordered_and_its_way_is_said(opened):
    opened.hub.known = [camera()]
    test = opened_panel()
    assert "own settings hold" in texts(test.caption)
    next(w for w in test.selectbox if w.label.startswith("Turn")).set_value(270)
    next(w for w in test.slider if w.label == "From top to bottom").set_value((0.5, 1.0))
    next(w for w in test.number_input if w.label.startswith("Exposure")).set_value(8.0)
    order(test)
    wanted = CameraView(rotation=270, region=(0.0, 0.5, 1.0, 1.0), exposure_ms=8.0)
    assert opened.hub.views == [("cam1", wanted)]
    assert "Waiting for it to confirm" in texts(test.info)
    reported = wire.Reported(session="s1", revision=9, state=DeviceState.ACTIVE, at=1.0)
    opened.hub.known = [replace(device(), reported=reported)]
    assert "looks so since revision 9" in texts(test.run().success)


def test_a_part_without_area_is_not_ordered(opened):
    opened.hub.known = [camera()]
    test = opened_panel()
    next(w for w in test.slider if w.label == "From left to right").set_value((0.5, 0.5))
    order(test)
    assert not opened.hub.views
    assert "at least" in texts(test.error)


def test_a_failure_is_said_in_its_words(opened):
    opened.hub.known = [camera()]
    opened.hub.refusal = "No MQTT broker answers at 127.0.0.1:1883."
    test = order(opened_panel())
    assert "No MQTT broker answers" in texts(test.code)

"""Contrast in both themes, colours that colour-blind people tell apart, labels, no user's HTML."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import slimcast_web
from slimcast_web import theme
from support_wait import PATIENCE
from support_web import device, finished_run, running_run

SOURCES = Path(slimcast_web.__file__).parent
PAGES = ("home", "compress", "runs", "tradeoffs", "search", "fleet", "live", "settings")
WIDGETS = (
    "button", "checkbox", "download_button", "file_uploader", "multiselect", "number_input", "radio",
    "selectbox", "select_slider", "slider", "text_area", "text_input", "toggle",
    "segmented_control", "link_button",
)  # fmt: skip
TEXT, LARGE = 4.5, 3.0  # WCAG 2.2, 1.4.3: text; 1.4.11: what one must see to use a control
TELLING_APART = 12.0  # CIE76 difference; about 2.3 is the least that anybody notices

# Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency,
# 2009: severity 1, for linear RGB.
BLINDNESS = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.clip(np.array(matrix) @ np.clip(rgb, 0, 1), 0, None) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("name", ["light", "dark"])
class TestContrast:
    def _theme(self, name: str) -> dict[str, str]:
        prefix = f"theme.{name}."
        options = theme.streamlit_options()
        return {key.removeprefix(prefix): value for key, value in options.items() if key.startswith(prefix)}

    def test_text_can_be_read_on_every_ground(self, name):
        colours = self._theme(name)
        for ground in ("backgroundColor", "secondaryBackgroundColor", "codeBackgroundColor"):
            assert contrast(colours["textColor"], colours[ground]) >= 7, ground
            assert contrast(colours["linkColor"], colours[ground]) >= TEXT, ground

    def test_coloured_words_can_be_read(self, name):
        colours = self._theme(name)
        for colour in ("greenColor", "orangeColor", "redColor", "blueColor", "grayColor"):
            assert contrast(colours[colour], colours["backgroundColor"]) >= TEXT, colour

    def test_what_is_clicked_stands_out(self, name):
        colours = self._theme(name)
        assert contrast(colours["primaryColor"], colours["backgroundColor"]) >= LARGE
        assert contrast("#FFFFFF", colours["primaryColor"]) >= TEXT  # the words on a main button


@pytest.mark.parametrize("kind", sorted(BLINDNESS))
def test_series_of_a_plot_are_told_apart_by_the_colour_blind(kind):
    matrix = np.array(BLINDNESS[kind])
    for one, other in combinations(theme.SERIES_COLOURS, 2):
        seen = [lab(matrix @ linear(colour)) for colour in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) >= TELLING_APART, f"{one} and {other}"


def test_kinds_of_steps_differ_in_shape_as_well_as_in_colour():
    assert set(theme.MARKERS) == set(theme.CATEGORY_COLOURS)
    assert len(set(theme.MARKERS.values())) == len(theme.MARKERS)


@pytest.mark.parametrize("name", PAGES)
def test_every_widget_of_every_page_has_a_label(opened, name):
    finished_run(opened.store)
    running_run(opened.store)
    opened.hub.known = [device()]
    test = AppTest.from_string(
        f"from slimcast_web.pages import {name}\n{name}.show()", default_timeout=60 * PATIENCE
    )
    for index in range(4):
        test.session_state[f"recipe-step-{index}"] = True
    test.run()
    assert not test.exception
    nameless = [
        (kind, element)
        for kind in WIDGETS
        for element in test.get(kind)
        if not str(getattr(element, "label", "") or getattr(element.proto, "label", "")).strip()
    ]
    assert nameless == []


def test_no_page_takes_anybodys_text_for_html():
    """`st.html` takes files that come with us, and text in which whatever is put in says that it is HTML."""
    for file in SOURCES.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "unsafe_allow_html" not in text, file
        assert "unsafe_allow_javascript" not in text, file
        for call in re.findall(r"st\.html\(([^)]*)", text):
            put_in = re.findall(r"{(\w+)}", call)
            assert call.startswith("STATIC") or all(name.endswith("_html") for name in put_in), file


def test_there_is_no_emoji():
    emoji = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f]")
    found = [file.name for file in SOURCES.rglob("*.py") if emoji.search(file.read_text(encoding="utf-8"))]
    assert found == []

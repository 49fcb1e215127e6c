"""Without a mouse: from Home to a run that has started, and the wall of cameras, by a few keys alone."""

from dataclasses import replace

import pytest

from slimcast.ports import free_port
from slimcast.store import Store
from support_browser import ARGUMENTS, chromium, running_app
from support_compare import comparing_device, store_models
from support_wait import PATIENCE, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300 * PATIENCE),
    pytest.mark.skipif(chromium() is None, reason="needs Chromium: apt install chromium"),
]

SLOW_S = 60.0
MOST_TABS = 80
FOCUSED = """() => {
    let at = document.activeElement;
    while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
    if (!at || at === document.body) return "";
    const labels = at.labels ? [...at.labels].map(label => label.innerText).join(" ") : "";
    const text = at.matches("a, button, summary") ? at.innerText : "";  // not all that a region holds
    const name = at.getAttribute("aria-label") || labels || text || at.title || "";
    const style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    return {name: name.trim(), seen: box.width > 0 && style.visibility !== "hidden",
            ringed: at.matches(":focus-visible")};
}"""


@pytest.fixture
def studio_settings(settings):
    return replace(settings, host="127.0.0.1", port=free_port(), token="")


@pytest.fixture
def page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SLOW_S * 1000 * PATIENCE)
        yield page
        browser.close()


def tab_to(page, words: str, *, back: bool = False) -> None:
    """Press Tab until what has the focus has these words in its name; fail when it is never reached."""
    passed = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        focused = page.evaluate(FOCUSED)
        if focused and words in focused["name"]:
            assert focused["seen"], f"{words!r} has the focus, but cannot be seen"
            assert focused["ringed"], f"{words!r} does not show that it has the focus"
            return
        passed.append(focused["name"][:40] if focused else "")
    raise AssertionError(f"Tab never reaches {words!r}; it passes {passed}")


def press(page, words: str, key: str = "Enter", *, back: bool = False) -> None:
    tab_to(page, words, back=back)
    page.keyboard.press(key)


def heading(page, words: str) -> None:
    page.get_by_role("heading", name=words, level=1).wait_for()
    page.locator('[data-testid="stSkeleton"]').first.wait_for(state="detached")


def test_by_keyboard_alone(page, studio_settings, tmp_path):
    store = Store.open(studio_settings)
    store_models(store)
    store.close()
    with (
        running_app(studio_settings, tmp_path / "app.log") as address,
        comparing_device(studio_settings, tmp_path),
    ):
        page.goto(address)
        heading(page, "Slimcast")
        press(page, "Live")
        use_wall(page)
        compare_two(page)
        press(page, "Home", back=True)
        heading(page, "Slimcast")
        start_compression(page)


def start_compression(page) -> None:
    """Go from Home to Compress, turn the dial, start, and cancel on Runs."""
    press(page, "Compress")
    heading(page, "Compress")
    dial = page.get_by_role("radiogroup", name="How small?")
    recipe = page.get_by_role("textbox", name="Recipe (YAML)")
    before = recipe.input_value()
    tab_to(
        page, dial.get_by_role("radio", checked=True).evaluate("radio => radio.labels[0].innerText.trim()")
    )
    page.keyboard.press("ArrowRight")
    wait_for(lambda: recipe.input_value() != before, "the dial to write another recipe", SLOW_S)
    press(page, "Start compression")
    heading(page, "Runs")
    page.wait_for_url("**/runs?run=*")
    press(page, "Cancel", " ")
    page.get_by_text("cancelled", exact=True).first.wait_for(state="attached")


def use_wall(page) -> None:
    """Fill the screen and go back; pause and go on; take a picture."""
    heading(page, "Live")
    tile = page.locator('figure[data-device="cam1"]')
    page.locator('figure[data-device="cam1"][data-condition="live"]').wait_for()
    tab_to(page, "Camera cam1")
    page.keyboard.press("Enter")
    wait_for(lambda: tile.evaluate("figure => figure.matches(':fullscreen')"), "the full screen", SLOW_S)
    page.keyboard.press("Escape")
    wait_for(lambda: not page.evaluate("document.fullscreenElement"), "the page to be back", SLOW_S)
    assert "Camera cam1" in page.evaluate(FOCUSED)["name"], "the focus is lost on the way back"
    for key, condition in ((" ", "paused"), (" ", "live")):
        page.keyboard.press(key)
        page.locator(f'figure[data-device="cam1"][data-condition="{condition}"]').wait_for()
    press(page, "Pause cam1")
    page.locator('figure[data-device="cam1"][data-condition="paused"]').wait_for()
    page.keyboard.press("Enter")
    page.locator('figure[data-device="cam1"][data-condition="live"]').wait_for()
    press(page, "Take a picture with cam1")
    assert "Take a picture" in page.evaluate(FOCUSED)["name"], "the focus is lost while a picture is taken"
    tab_to(page, "Full screen: cam1")
    page.get_by_role("link", name="Save the picture").wait_for()
    press(page, "Pause all", " ", back=True)
    page.locator('figure[data-device="cam1"][data-condition="paused"]').wait_for()
    page.keyboard.press(" ")
    page.locator('figure[data-device="cam1"][data-condition="live"]').wait_for()


def compare_two(page) -> None:
    """Open the choice, choose the second model, close it again, and see both on the tile."""
    press(page, "Compare", back=True)
    press(page, "Two models on one camera", " ")
    page.get_by_role("combobox", name="Second model").wait_for()
    tab_to(page, "Second model")
    page.keyboard.type("swapped")
    page.keyboard.press("Enter")
    page.wait_for_url("**variant=swapped**")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Second model").wait_for(state="hidden")
    page.locator('figure[data-device="cam1"][data-agree]').wait_for()

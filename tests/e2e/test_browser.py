"""The whole main job in a real browser: compress, watch, compare, publish, see labelled frames."""

import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slimcast.demo.camera import DEVICE
from slimcast.ports import free_port
from slimcast_web.services import compress
from support_browser import ARGUMENTS, chromium, first_visit, running_app, running_camera
from support_wait import PATIENCE, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow(seconds=35),
    pytest.mark.timeout(420 * PATIENCE),
    pytest.mark.skipif(chromium() is None, reason="needs Chromium: apt install chromium"),
]

OUTPUT = Path("test-output") / "browser"
SLOW_S = 90.0
TRANSIENT = {"downloading", "verifying", "warming", "probation"}
READ_TILE = """figure => ({...figure.dataset, shown: figure.querySelector('.label').textContent,
                            picture: figure.querySelector('canvas').toDataURL('image/jpeg', 0.5)})"""


@pytest.fixture
def studio_settings(settings, tmp_path):
    """The settings of `settings`, with a free port for the app as well."""
    return replace(settings, host="127.0.0.1", port=free_port(), token="")


@pytest.fixture
def browser_page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(SLOW_S * 1000 * PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(f"{request.url}: {request.failure}"))
        yield page
        page.screenshot(path=OUTPUT / "last.png")
        browser.close()
    outside = [error for error in errors if "127.0.0.1" not in error and "http" in error]
    assert outside == [], "the app asked for something outside of this machine"
    assert [error for error in errors if "http" not in error] == []


def test_from_a_recipe_to_labelled_frames(studio_settings, browser_page, tmp_path):
    page = browser_page
    with (
        running_app(studio_settings, tmp_path / "app.log") as address,
        running_camera(studio_settings, tmp_path / "camera.log", hold_frames=15),
    ):
        run = start_compression(page, address)
        watch_run(page, run)
        compare(page)
        publish(page)
        watch_live(page, address)


def test_a_first_visit_ends_with_frames(studio_settings, browser_page, tmp_path):
    with running_app(studio_settings, tmp_path / "app.log") as address:
        first_visit(browser_page, address, 2 * SLOW_S * PATIENCE)
        tile = browser_page.locator("figure[data-device]").first
        wait_for(lambda: tile.evaluate(READ_TILE)["label"], "a label on the frames", SLOW_S)
        browser_page.screenshot(path=OUTPUT / "9-first-visit.png")


def test_a_zip_of_images_becomes_the_data(studio_settings, browser_page, tmp_path):
    page = browser_page
    archive = tmp_path / "pets.zip"
    noise = np.random.default_rng(0).integers(0, 256, (2, 500, 500, 3)).astype(np.uint8)
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(30):
            Image.fromarray(noise[number % 2]).save(tmp_path / "a.jpg", quality=90)
            zipped.write(tmp_path / "a.jpg", f"{'cat' if number % 2 else 'dog'}/{number}.jpg")
        zipped.writestr("cat/notes.txt", "x")
    assert archive.stat().st_size > 3 * 2**20  # more than fits where nobody has allowed for it
    settings = replace(studio_settings, data_root=tmp_path / "data")
    with running_app(settings, tmp_path / "app.log") as address:
        page.goto(f"{address}/compress")
        page.get_by_text("Upload your own images").click()
        uploader = page.get_by_test_id("stFileUploader").filter(has_text="Zip of images")
        uploader.locator("input[type=file]").set_input_files(archive)
        page.get_by_role("button", name="Add the data set").click()
        page.get_by_text("30 images of 2 classes are the data now.").wait_for()
        page.get_by_text("cat/notes.txt is no image").wait_for()
        recipe = page.get_by_role("textbox", name="Recipe (YAML)")
        wait_for(lambda: "path: uploads/pets" in recipe.input_value(), "the recipe to name the set", SLOW_S)
        page.get_by_text("Look at the data").click()
        page.get_by_text("12 training images in each class.").wait_for()
        wait_for(lambda: page.locator("[data-testid=stImage] img").count() == 12, "the samples", SLOW_S)


def start_compression(page, address: str) -> str:
    """Start a short compression on Compress; return the run's id from the address of Runs."""
    page.goto(f"{address}/compress")
    page.get_by_role("heading", name="Compress", level=1).wait_for()
    recipe = page.get_by_role("textbox", name="Recipe (YAML)")
    recipe.fill("name: x\nmodel: {name: nosuch}\ndata: {name: digits}\nsteps: []\n")
    recipe.press("Control+Enter")
    page.get_by_text("unknown name 'nosuch'").wait_for()
    start = page.get_by_role("button", name="Start compression")
    wait_for(start.is_disabled, "the button to follow the text", SLOW_S)
    short = replace(compress.Draft(), epochs=8.0, rounds=1, finetune_epochs=4.0, keep_macs=50)
    recipe.fill(compress.yaml_of(short))
    recipe.press("Control+Enter")
    page.get_by_text("unknown name 'nosuch'").wait_for(state="detached")
    page.get_by_text("1 Prune").click()
    goal = page.get_by_role("spinbutton", name="Target: macs")
    wait_for(lambda: goal.input_value() == "0.5", "the form to follow the text", SLOW_S)
    page.screenshot(path=OUTPUT / "1-compress.png")
    page.get_by_role("button", name="Start compression").click()
    page.get_by_role("heading", name="Runs", level=1).wait_for()
    page.wait_for_url("**/runs?run=*")
    return page.url.partition("run=")[2]


def watch_run(page, run: str) -> None:
    """See the bar move and curves grow until the run has succeeded."""
    bar = page.locator(".stProgress").first
    seen = set()

    def done() -> bool:
        value = bar.inner_text()
        seen.add(value)
        page.screenshot(path=OUTPUT / "2-runs.png") if len(seen) == 3 else None
        assert page.get_by_text("failed", exact=True).count() == 0, page.locator("body").inner_text()[-2000:]
        return page.get_by_text("succeeded", exact=True).count() > 0

    wait_for(done, f"run {run} to succeed", 3 * SLOW_S)
    assert len(seen) >= 3, f"the bar did not move: {seen}"
    assert page.locator(".js-plotly-plot").count() == 2
    page.screenshot(path=OUTPUT / "3-runs-done.png")


def compare(page) -> None:
    """See every variant in the plot, switch the cost, choose by a click, look closer, take files along."""
    page.get_by_role("button", name="See trade-offs").click()
    page.get_by_role("heading", name="Trade-offs", level=1).wait_for()
    plot = page.locator(".js-plotly-plot")
    for name in ("0-train", "1-prune", "2-finetune", "3-int8"):
        plot.get_by_text(name, exact=True).wait_for()
    page.get_by_text("times smaller").wait_for()
    page.screenshot(path=OUTPUT / "4-trade-offs.png")
    page.get_by_role("combobox", name="Across").click()
    page.get_by_role("option", name="Latency", exact=True).click()
    plot.get_by_text("Latency p50", exact=False).wait_for()
    page.wait_for_url("**x=latency_p50_ms**")
    plot.locator(".point").nth(2).click(force=True)  # the pruned one's diamond, behind the ring
    page.wait_for_url("**1-prune**")
    section(page, "Answers")
    page.get_by_text("Different answers to").wait_for()
    page.goto(page.url)  # the address alone brings it all back
    page.get_by_text("Different answers to").wait_for()
    plot.get_by_text("Latency p50", exact=False).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report and link").click()
        page.get_by_role("button", name="HTML report").click()
    assert download.value.suggested_filename.startswith("slimcast-report-")
    page.get_by_role("heading", name="Trade-offs", level=1).click()  # closes what hangs over the page
    page.get_by_role("button", name="HTML report").wait_for(state="hidden")
    page.get_by_role("combobox", name="Variant").click()
    page.get_by_role("option", name="3-int8").click()
    page.wait_for_url("**3-int8**")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .onnx").click()
    assert download.value.suggested_filename.endswith("3-int8.onnx")
    assert Path(download.value.path()).stat().st_size > 1000
    page.get_by_role("button", name="Publish to a device").click()


def section(page, name: str) -> None:
    """Choose what stands below the plot."""
    page.get_by_role("radio", name=name).or_(page.get_by_role("button", name=name)).first.click()


def publish(page) -> None:
    """Publish to the camera and watch its states go by until the model is active."""
    page.get_by_role("heading", name="Fleet", level=1).wait_for()
    card = page.locator(f".st-key-device-{DEVICE}")
    card.get_by_text("online").wait_for()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("Ordered as revision").wait_for()
    seen: set[str] = set()

    def active() -> bool:
        words = set(
            card.locator('[data-testid="stMarkdownBadge"], .stBadge, .stMarkdownBadge').all_inner_texts()
        )
        seen.update(word.split("\n")[-1].strip() for word in words)
        page.screenshot(path=OUTPUT / "5-fleet-deploying.png") if seen & TRANSIENT else None
        return "active" in seen

    wait_for(active, "the device to be active", SLOW_S)
    assert seen & TRANSIENT, f"no state went by: {seen}"
    card.get_by_text("3-int8").first.wait_for()
    page.screenshot(path=OUTPUT / "6-fleet.png")


def watch_live(page, address: str) -> None:
    """See the picture change, and the label follow what the camera shows."""
    page.get_by_role("link", name="Live").click()
    page.get_by_role("heading", name="Live", level=1).wait_for()
    tile = page.locator(f'figure[data-device="{DEVICE}"][data-condition="live"]')
    tile.wait_for()
    pictures, frames, labels, right = set(), set(), set(), 0

    def enough() -> bool:
        nonlocal right
        now = tile.evaluate(READ_TILE)
        assert now["shown"] == now["label"]
        if now["frame"] not in frames:
            frames.add(now["frame"])
            labels.add(now["label"])
            pictures.add(hash(now["picture"]))
            right += now["label"] == now["expected"]
        return len(frames) >= 40 and len(labels) >= 4

    wait_for(enough, "forty frames with four different labels", SLOW_S)
    assert len(pictures) > 10, "the picture stands still"
    assert right / len(frames) > 0.8, f"{right} of {len(frames)} labels are as expected"
    page.screenshot(path=OUTPUT / "7-live.png")
    use_tile(page, address)
    page.goto(f"{address}/live?kiosk=1")
    page.locator(f'.kiosk figure[data-device="{DEVICE}"][data-condition="live"]').wait_for()
    page.screenshot(path=OUTPUT / "8-live-kiosk.png")


def use_tile(page, address: str) -> None:
    """Take a picture, fill the screen by keyboard, pause until the camera sends no more, and go on."""
    figure = page.locator(f'figure[data-device="{DEVICE}"]')
    wait_for(
        lambda: figure.locator(".count").count() >= 4, "the labels that were shown to be counted", SLOW_S
    )
    page.get_by_role("button", name=f"Take a picture with {DEVICE}").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the picture").click()
    assert download.value.suggested_filename.startswith(f"{DEVICE}-")
    figure.focus()
    page.keyboard.press("Enter")
    wait_for(lambda: figure.evaluate("figure => figure.matches(':fullscreen')"), "the full screen", SLOW_S)
    page.keyboard.press("Escape")
    wait_for(lambda: not page.evaluate("document.fullscreenElement"), "the page to be back", SLOW_S)
    figure.focus()
    page.keyboard.press(" ")

    def stands_still() -> bool:
        before = frames_come(address)
        page.wait_for_timeout(1000)
        return frames_come(address) == before

    wait_for(stands_still, "the paused camera to send no more", SLOW_S)
    assert figure.get_attribute("data-condition") == "paused"
    page.get_by_role("button", name=f"Resume {DEVICE}").click()
    page.locator(f'figure[data-device="{DEVICE}"][data-condition="live"]').wait_for()


def frames_come(address: str) -> int:
    """Return how many frames the studio has received."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("slimcast_hub_frames_total "))

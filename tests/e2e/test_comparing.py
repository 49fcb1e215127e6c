"""Two models on one camera: through a real broker and client, and on the Live page in a real browser."""

from dataclasses import replace

import pytest

from slimcast.ports import free_port
from slimcast.store import Store
from support_artifacts import LABELS
from support_browser import ARGUMENTS, chromium, running_app
from support_compare import SWAPPED, comparing_device, store_models
from support_fleet import EmbeddedServer
from support_wait import PATIENCE, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 * PATIENCE)]

SWAPPED_LABELS = dict(zip(LABELS, ("dark", "bright", "right", "left"), strict=True))
SLOW_S = 60.0


def test_a_device_answers_with_a_second_model_and_is_back_to_one_afterwards(settings, store, hub, tmp_path):
    store_models(store)
    second = store.artifacts.put(SWAPPED)
    broker = EmbeddedServer(settings)
    broker.start()
    try:
        with comparing_device(settings, tmp_path) as device:
            wait_for(lambda: any(d.online and d.reported for d in hub.devices()), "the device")
            results = []
            hub.watch_results("cam1", "test", results.append)
            hub.comparing.join("cam1", second, "swapped", "test")
            wait_for(lambda: hub.comparing.of("cam1").tally.frames >= 30, "thirty frames with both", SLOW_S)
            both = [one for one in results if one.second is not None]
            for one in both:
                assert one.predictions[0].label == one.expected
                assert one.second.predictions[0].label == SWAPPED_LABELS[one.expected]
                assert one.second.latency_ms > 0
            tally = hub.comparing.of("cam1").tally
            assert tally.first_right == tally.known == tally.frames
            assert 0 < tally.agreed == tally.second_right < tally.frames
            assert hub.device("cam1").reported.active == both[0].artifact != second == both[0].second.artifact
            hub.comparing.leave("cam1", "test")
            count = len(results)
            wait_for(lambda: len(results) > count + 5 and results[-1].second is None, "one model again")
            assert device.models == [hub.device("cam1").reported.active]
            wait_for(lambda: not (device.state_folder / "comparing").exists(), "its file to be gone")
    finally:
        broker.stop()


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason="needs Chromium: apt install chromium")
def test_the_wall_shows_both_side_by_side(settings, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    settings = replace(settings, host="127.0.0.1", port=free_port(), token="")
    store = Store.open(settings)
    run = store_models(store)
    store.close()
    with (
        running_app(settings, tmp_path / "app.log") as address,
        comparing_device(settings, tmp_path),
        sync_api.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SLOW_S * 1000 * PATIENCE)
        page.goto(f"{address}/live")
        tile = page.locator('figure[data-device="cam1"]')
        page.locator('figure[data-device="cam1"][data-condition="live"]').wait_for()
        choose(page)
        page.wait_for_url(f"**compare=cam1&run={run}&variant=swapped**")
        see_both(tile)
        page.reload()  # the address alone brings it back
        see_both(tile)
        tile.get_by_text("Agree on").wait_for()
        assert "right: A 100.0 %" in tile.locator(".totals").inner_text()
        page.get_by_role("button", name="Compare").click()
        page.get_by_text("Two models on one camera").click()
        wait_for(lambda: tile.get_attribute("data-agree") is None, "one model again", SLOW_S)
        assert "compare" not in page.url
        browser.close()


def choose(page) -> None:
    """Choose on the page what is to be compared; it comes with what the device runs, which is refused."""
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Two models on one camera").click()
    page.get_by_role("combobox", name="Second model").click()
    page.get_by_role("option", name="own").click()
    page.get_by_text("This is the model that the device runs.").wait_for()
    page.get_by_role("combobox", name="Second model").click()
    page.get_by_role("option", name="swapped").click()
    page.get_by_role("heading", name="Live", level=1).click()  # closes what hangs over the page


def see_both(tile) -> None:
    """See frames on which both agree, and frames on which they differ, each with the right words."""
    seen = {}

    def both_kinds() -> bool:
        now = tile.evaluate("""figure => ({...figure.dataset, mark: figure.querySelector('.mark').textContent,
            said: [...figure.querySelectorAll('.said')].map(node => node.textContent)})""")
        if "agree" in now:
            assert now["said"] == [now["label"], now["secondLabel"]]
            assert now["secondLabel"] == SWAPPED_LABELS[now["label"]]
            assert now["agree"] == ("yes" if now["label"] == now["secondLabel"] else "no")
            assert now["mark"] == ("= agree" if now["agree"] == "yes" else "≠ differ")
            assert float(now["secondLatency"]) > 0
            seen[now["agree"]] = now
        return len(seen) == 2

    wait_for(both_kinds, "frames on which both agree and differ", SLOW_S)

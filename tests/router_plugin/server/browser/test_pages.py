"""Every page of the console in a real browser: wide and narrow, light and dark, by keyboard, and as axe sees it."""

import pytest

from router_plugin.server.console.rendering import NAVIGATION

from .conftest import check_accessible, check_fits, opened, screenshot

PAGES = [place.path.removeprefix("/console") for place in NAVIGATION]
PAGES += [f"/domains/medical{part}" for part in ("", "/gate", "/comparison", "/serving")]
PAGES += ["/routes/new", "/routes/edit?name=symptoms"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_and_loads_without_a_fault(chromium, console, path, scheme):
    with opened(chromium, console + path, color_scheme=scheme, viewport={"width": 1280, "height": 900}) as page:
        page.wait_for_load_state("networkidle")
        check_accessible(page)
        screenshot(page, f"console{path.replace('/', '-')}{'-dark' if scheme == 'dark' else ''}")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_telephone(chromium, console, path):
    with opened(chromium, console + path, viewport={"width": 360, "height": 800}) as page:
        page.wait_for_load_state("networkidle")
        check_fits(page)
        check_accessible(page)


def test_the_keyboard_reaches_the_content_first(chromium, console):
    with opened(chromium, console) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_what_is_fresh_keeps_its_charts_and_the_place_of_the_keyboard(chromium, console):
    with opened(chromium, console) as page:
        page.wait_for_load_state("networkidle")
        drawn = page.locator("#traffic .uplot").count()
        page.locator("#traffic summary").first.click()
        page.evaluate("document.getElementById('traffic').old = true")
        with page.expect_response(lambda answer: "/traffic" in answer.url, timeout=20_000):
            pass
        page.wait_for_timeout(300)
        assert page.evaluate("document.getElementById('traffic').old") is None
        assert drawn and page.locator("#traffic .uplot").count() == drawn
        assert page.locator("#traffic details[open]").count() == 1
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"

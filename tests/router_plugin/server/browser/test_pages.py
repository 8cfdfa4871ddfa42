"""Every page of the console in a real browser: wide and narrow, light and dark, by keyboard, and as axe sees it."""

import pytest

from router_plugin.server.console.rendering import NAVIGATION

from .conftest import TELEPHONE, check_accessible, check_fits, looks, opened, screenshot, wait_until

PAGES = [place.path.removeprefix("/console") for place in NAVIGATION]
PAGES += [f"/domains/medical{part}" for part in ("", "/gate", "/comparison", "/serving")]
PAGES += ["/routes/new", "/routes/edit?name=symptoms"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_without_a_fault_is_accessible_and_fits(chromium, console, path):
    with opened(chromium, console + path, viewport=TELEPHONE) as page:
        page.locator(".waiting").first.wait_for(state="detached")  # then the page is loaded anew
        page.wait_for_load_state("networkidle")
        for scheme, width in looks(page):
            check_fits(page)
            check_accessible(page)
            if width > TELEPHONE["width"]:
                screenshot(page, f"console{path.replace('/', '-')}{'-dark' if scheme == 'dark' else ''}")


def test_the_keyboard_reaches_the_content_first(chromium, console):
    with opened(chromium, console) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_what_is_fresh_keeps_its_charts_and_the_place_of_the_keyboard(chromium, console):
    with opened(chromium, console) as page:
        page.clock.install()
        page.reload()
        page.wait_for_load_state("networkidle")
        drawn = page.locator("#traffic .uplot").count()
        page.locator("#traffic summary").first.click()
        page.evaluate("document.getElementById('traffic').old = true")
        with page.expect_response(lambda answer: "/traffic" in answer.url, timeout=20_000):
            page.clock.fast_forward(10_000)
        wait_until(page, "document.getElementById('traffic').old === undefined")
        assert drawn
        wait_until(page, f"document.querySelectorAll('#traffic .uplot').length === {drawn}")
        assert page.locator("#traffic details[open]").count() == 1
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"

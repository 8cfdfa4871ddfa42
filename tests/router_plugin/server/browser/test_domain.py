"""A candidate is promoted in a real browser, and the page says what serves."""

from tests.router_plugin.server.test_console_domain import LEGAL, candidate, serve  # noqa: F401

from .conftest import check_accessible, check_fits, opened


def test_a_candidate_is_promoted_by_a_form(chromium, serve, store, candidate):  # noqa: F811
    options = {"viewport": {"width": 360, "height": 800}}
    with serve(reload_s=0.1) as (url, _), opened(chromium, url + LEGAL, **options) as page:
        page.fill("#promote-why", "better on real questions")
        page.click("button:text-is('Promote')")
        page.wait_for_selector("text=This server answers with legal@2. It is the registry's champion.")
        page.wait_for_load_state("networkidle")
        check_accessible(page)
        check_fits(page)
    assert store.history("legal")[-2].why == "better on real questions"

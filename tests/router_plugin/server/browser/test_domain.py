"""A candidate is promoted in a real browser, and the page says what serves."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.router_plugin.server.test_console_domain import LEGAL, candidate, serve  # noqa: F401

from .conftest import TELEPHONE, check_accessible, check_fits, opened


def test_a_candidate_is_promoted_by_a_form(chromium, serve, store, candidate):  # noqa: F811
    with serve(reload_s=0.1) as (url, _), opened(chromium, url + LEGAL, viewport=TELEPHONE) as page:
        page.fill("#promote-why", "better on real questions")
        page.click("button:text-is('Promote')")
        page.wait_for_selector("text=This server answers with legal@2. It is the registry's champion.")
        page.wait_for_load_state("networkidle")
        check_accessible(page)
        check_fits(page)
    assert store.history("legal")[-2].why == "better on real questions"


def test_versions_change_by_forms_while_others_ask(chromium, serve, store, candidate):  # noqa: F811
    statuses, ended = Counter(), threading.Event()

    def ask(url):
        with httpx.Client(base_url=url, timeout=20) as client:
            while not ended.is_set():
                statuses[client.post("/v1/route", json={"query": "can my landlord raise the rent"}).status_code] += 1

    with serve(reload_s=0.1) as (url, _), ThreadPoolExecutor(4) as pool, opened(chromium, url + LEGAL) as page:
        asking = [pool.submit(ask, url) for _ in range(4)]
        try:
            for field, button, serving in (
                ("#promote-why", "Promote", 2),
                ("#roll-back-why", "Roll back to legal@1", 1),
            ):
                page.fill(field, "a try")
                page.click(f"button:has-text('{button}')")
                page.wait_for_selector(f"text=This server answers with legal@{serving}. It is the registry's champion.")
        finally:
            ended.set()
        for each in asking:
            each.result()
    assert set(statuses) == {200}
    assert [move.version for move in store.history("legal", "champion")] == [1, 2, 1]

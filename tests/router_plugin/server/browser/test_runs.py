"""Training runs in a real browser: their pages, what changes while they are shown, and reports in frames."""

import pytest

from router_plugin.server.runs.reports import RunReport
from router_plugin.server.runs.store import RunStore
from router_plugin.server.service import Files
from tests.router_plugin.server.conftest import router_over, running
from tests.router_plugin.server.test_runs import a_run, finished

from .conftest import TELEPHONE, check_accessible, check_fits, looks, opened

GOING, DONE, ODD = ("a" * 32, "b" * 32, "c" * 32)
MEASURED = [{"name": name, "dev": {"ndcg@10": value}} for name, value in (("base", 0.5), ("iteration-1", 0.6))]
REPORT = "<!doctype html><html lang=en><title>report</title><main><h1>report</h1></main>"
PAGES = ("", f"/{GOING}", f"/{DONE}", f"/{ODD}", f"/compare?run={GOING}&run={DONE}&run={ODD}")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    found = RunStore(tmp_path_factory.mktemp("runs"))
    losses = [{"iteration": "iteration-1", "steps": [1, 5, 9], "losses": [0.9, 0.5, 0.4]}]
    said = "<script>alert(1)</script>\u202e" + "x" * 150
    found.put(GOING, RunReport(**a_run(losses=losses)))
    found.put(DONE, RunReport(**finished(measured=MEASURED, losses=losses, name="done")))
    found.put(ODD, RunReport(**a_run(name=said, state="failed", error=said, options={said: said}, domain=said)))
    found.put_page(DONE, REPORT)
    return found


@pytest.fixture(scope="module")
def pages(served_domains, store):
    with running(router_over(served_domains), files=Files(runs=store)) as (url, _):
        yield f"{url}/console/runs"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_and_fits(chromium, pages, path):
    with opened(chromium, pages + path, viewport=TELEPHONE) as page:
        page.wait_for_load_state("networkidle")
        for _ in looks(page):
            check_fits(page)
            check_accessible(page)


def test_a_run_is_fresh_and_shows_its_results_when_it_has_ended(chromium, pages, store):
    before = store.get(GOING).report
    with opened(chromium, f"{pages}/{GOING}") as page:
        store.put(GOING, before.model_copy(update={"doing": "iteration-2: mining"}))
        page.get_by_text("iteration-2: mining").wait_for(timeout=10_000)
        page.locator(".uplot").nth(1).wait_for(timeout=10_000)
        assert page.locator(".uplot").count() == 2
        store.put(GOING, RunReport(**finished(measured=MEASURED)))
        page.get_by_role("heading", name="Test sets").wait_for(timeout=10_000)
        assert page.locator("#state").inner_text() == "finished"
    store.put(GOING, before)


def test_the_list_is_fresh_and_keeps_what_was_checked(chromium, pages, store):
    before = store.get(GOING).report
    with opened(chromium, pages) as page:
        page.locator(f"input[value='{DONE}']").check()
        store.put(GOING, before.model_copy(update={"state": "interrupted"}))
        page.locator(f"#state-{GOING}", has_text="interrupted").wait_for(timeout=10_000)
        assert page.locator(f"input[value='{DONE}']").is_checked()
        assert "1 interrupted" in page.locator("#summary").inner_text()
    store.put(GOING, before)


def test_a_report_is_shown_and_runs_nothing(chromium, pages, store):
    store.put_page(DONE, f"{REPORT}<script>parent.stolen = 1</script>")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{pages}/{DONE}")
    page.locator("iframe").scroll_into_view_if_needed()
    page.frame_locator("iframe").get_by_role("heading", name="report").wait_for(timeout=10_000)
    assert page.evaluate("window.stolen") is None
    context.close()
    store.put_page(DONE, REPORT)

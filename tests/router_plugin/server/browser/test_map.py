"""The pages about kept queries with all that they can show, in a real browser, and the map under a user's hands."""

import httpx
import pytest

from router_plugin import DomainRouter, load_routes
from router_plugin.server.options import ServerOptions
from router_plugin.server.service import Files
from router_plugin.server.traffic.recorder import Recorder
from router_plugin.server.traffic.traffic_file import TrafficFile
from tests.conftest import EXAMPLES
from tests.router_plugin.server.conftest import running, wait_for
from tests.router_plugin.server.test_console_drift import HOSTILE, keep, questions

from .conftest import TELEPHONE, check_accessible, check_fits, looks, opened, wait_until

FRAMES = "document.getElementById('map').pointMap?.frames"
VIEW = "JSON.stringify(document.getElementById('map').pointMap.view)"


@pytest.fixture(scope="module")
def filled(served_domains, tmp_path_factory):
    """The URL of a console that has kept queries, clusters and prepared data."""
    file = TrafficFile(tmp_path_factory.mktemp("traffic") / "traffic.db")
    keep(file, [*questions("medical"), *HOSTILE, *(f"secret plan {number}" for number in range(40))], "medical")
    settings = served_domains.settings.replace(strategy="adaptive", threshold=1.0)
    router = DomainRouter.over(served_domains, load_routes(EXAMPLES / "routes.yaml"), settings)
    options = ServerOptions(keep_queries=30, data=(f"sample={EXAMPLES / 'beir'}",))
    with running(router, options, files=Files(traffic=Recorder(file, 30.0))) as (url, _):
        for path, there in (("/drift", "Start a domain"), ("/data?domain=medical&data=sample&upto=1000", "map-canvas")):
            wait_for(lambda where=f"{url}/console{path}", what=there: what in httpx.get(where, timeout=60).text, 60)
        yield f"{url}/console"


@pytest.mark.parametrize(
    "path", ["/drift", "/data?domain=medical&data=sample&upto=1000&find=a", "/drift/delete?what=all"]
)
def test_full_pages_are_accessible_and_fit(chromium, filled, path):
    with opened(chromium, filled + path, viewport=TELEPHONE) as page:
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for _ in looks(page):
            check_accessible(page)
            check_fits(page)


def test_a_map_is_moved_searched_and_coloured(chromium, filled):
    with opened(chromium, filled + "/data?domain=medical&data=sample&upto=1000") as page:
        wait_until(page, f"{FRAMES} > 0")
        for key in ("+", "-", "ArrowLeft", "ArrowUp", "0"):
            before = page.evaluate(VIEW)
            page.focus("#map-canvas")
            page.keyboard.press(key)
            wait_until(page, f"{VIEW} !== {before!r}")
        page.hover("#map-canvas")
        before = page.evaluate(VIEW)
        page.mouse.wheel(0, -300)
        wait_until(page, f"{VIEW} !== {before!r}")
        page.fill("input[name=find]", "secret plan")
        page.click("#map-search button")
        page.wait_for_selector("#found >> text=secret plan 7")
        wait_until(page, "document.getElementById('map').pointMap.painter.marked?.length !== 0")
        page.select_option("#map-colouring", label="error")
        page.click("#map-legend >> text=not judged")
        assert page.get_attribute("#map-legend button", "aria-pressed") == "false"
        page.click("text=Show all")
        page.click("text=List what is in view")
        page.wait_for_selector("#found >> text=/[0-9]+ points/")

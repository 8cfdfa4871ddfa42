"""Measures how many frames a second the console's map draws while somebody moves and zooms it, in headless Chromium.

    python benchmarks/console_map.py --points 50000 --browser /usr/bin/chromium

The points are drawn at random in 40 groups, as making them by an encoder takes much longer and changes nothing. Half of
the frames move the map, half zoom. Without a GPU, the map writes its pixels itself; with `--software` it lets WebGL
draw there, on the processor. The last line is one JSON object: frames a second, the 95th percentile of milliseconds
between two frames, the milliseconds until the first frame after the page was asked for, and bytes of the points.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import uvicorn
from playwright.sync_api import sync_playwright

from router_plugin import DomainRouter, Route
from router_plugin.inspection.maps import Colouring, EmbeddingMap, MapText
from router_plugin.server.app import create_app
from router_plugin.server.console.pages.data import wanted
from router_plugin.server.options import ServerOptions
from router_plugin.server.running import server_config
from router_plugin.server.service import Service

PORT = 8793
PAGE = f"http://127.0.0.1:{PORT}/console/data?domain=general&upto=0"
GROUPS = 40
WIDTH, HEIGHT = 1200, 900

MOVE = """async (seconds) => {
  const map = document.getElementById("map").pointMap;
  const gaps = [];
  const frames = map.frames;
  const start = performance.now();
  let last = start;
  for (let step = 0; performance.now() - start < 1000 * seconds; step++) {
    if (step % 2) map.zoom(step % 120 < 60 ? 1.03 : 1 / 1.03); else map.move(step % 80 < 40 ? 6 : -6, 2);
    await new Promise((done) => requestAnimationFrame(done));
    const gl = map.painter.gl;
    if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));  // waits until it is drawn
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  const took = (performance.now() - start) / 1000;
  return { frames: map.frames - frames, seconds: took, gaps, webgl: Boolean(map.painter.gl) };
}"""
SOFTWARE = """const whole = WebGLRenderingContext.prototype.getParameter;
WebGLRenderingContext.prototype.getParameter = function (name) {
  const value = whole.call(this, name);
  return typeof value === "string" ? value.replace(/swiftshader|software/gi, "") : value;
};"""


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--browser", help="executable; by default Playwright's own Chromium")
    parser.add_argument("--software", action="store_true", help="WebGL without a GPU")
    given = parser.parse_args()
    drawn = random_map(given.points)
    wanted.draw_map = lambda *_: drawn
    server = serve()
    try:
        print(json.dumps({"points": given.points, "bytes": len(drawn.packed()), **measure(given)}))
    finally:
        server.should_exit = True


def random_map(points: int) -> EmbeddingMap:
    """Points in groups, with colours by part."""
    draw = np.random.default_rng(0)
    groups = draw.integers(0, GROUPS, points)
    places = draw.random((GROUPS, 2))[groups] * 0.8 + 0.1 + draw.normal(0, 0.02, (points, 2))
    labels = ["document", "train query", "dev query", "test query", "route", "kept query"]
    codes = (groups % len(labels)).astype(np.uint8)
    texts = [MapText(labels[code], f"text {row}", str(row)) for row, code in enumerate(codes.tolist())]
    return EmbeddingMap(places.clip(0, 1).astype(np.float32), "PCA", texts, [Colouring("part", labels, codes)], 0, 0)


def serve() -> uvicorn.Server:
    """A server of a single route in a thread, when it is ready."""
    service = Service(DomainRouter([Route(name="only", utterances=["only"])]), ServerOptions(port=PORT), 1)
    config = server_config(create_app(service, None, {}), service.options)
    config.port = PORT
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not (server.started and service.ready):
        time.sleep(0.05)
    return server


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Frames a second in a browser, and when the first was drawn."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=given.browser, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        if given.software:
            page.add_init_script(SOFTWARE)
        page.goto(PAGE)
        page.wait_for_selector("#map", timeout=60_000)
        started = time.perf_counter()
        page.reload()
        while not page.evaluate("document.getElementById('map')?.pointMap?.frames > 0"):
            page.wait_for_timeout(20)
        first = time.perf_counter() - started
        found = page.evaluate(MOVE, given.seconds)
        browser.close()
    return {
        "webgl": found["webgl"],
        "frames_per_second": round(found["frames"] / found["seconds"], 1),
        "p95_ms_between_frames": round(float(np.percentile(found["gaps"], 95)), 1),
        "ms_to_first_frame": round(1000 * first),
    }


if __name__ == "__main__":
    main()

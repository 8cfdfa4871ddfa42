"""What processes that were killed said of their present state is forgotten, and what they counted stays."""

from __future__ import annotations

import os
import subprocess
import sys

from router_plugin.server.reporting.metrics import SHARED_FOLDER

PROCESS = """
from router_plugin.encoders.query_cache import QueryCache
from router_plugin.server.reporting.metrics import Metrics
metrics = Metrics()
metrics.set_serving({{}}, {{"medical": "medical@{version}"}})
metrics.requests.labels("/", "200").inc()
print(metrics.text({waiting}, QueryCache(0)).decode())
"""


def test_a_process_that_is_gone_serves_nothing(tmp_path):
    environment = {**os.environ, SHARED_FOLDER: str(tmp_path)}
    for version, waiting in ((1, 7), (2, 3)):
        code = PROCESS.format(version=version, waiting=waiting)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert 'domain_router_serving{domain="medical",version="medical@2"} 1.0' in lines
    assert not any("medical@1" in line for line in lines)
    assert "domain_router_waiting_texts 3.0" in lines
    assert 'domain_router_requests_total{path="/",status="200"} 2.0' in lines

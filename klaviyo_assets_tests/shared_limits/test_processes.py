"""Processes that read an account at once, for real: over HTTP, at Klaviyo's limits, counted on a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.commands import environment
from klaviyo_assets_tests.warehouse.databases import postgres_database

REQUESTS = 15

READ = f"""
import json, sys
from concurrent.futures import ThreadPoolExecutor
from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.shared_limits.making import shared_limits
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

url, address = sys.argv[1:]
counted = shared_limits(address, None, DuckDBWarehouse(database="none.duckdb"), "pk_sandbox")
with KlaviyoClient("pk_sandbox", base_url=url, shared_limits=counted) as client, ThreadPoolExecutor(8) as pool:
    print("ready", flush=True)
    sys.stdin.readline()
    pages = list(pool.map(lambda _: client.get("get_metrics", "/metrics", many=True), range({REQUESTS})))
    print(json.dumps(client.stats.counts()._asdict()))
counted.close()
"""


def read_at_once(url: str, address: str, folder: Path) -> list[dict[str, float]]:
    """What each of two processes did, which read at the same time."""
    command = [sys.executable, "-c", READ, url, address]
    readers = [
        subprocess.Popen(
            command, cwd=folder, env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout and reader.stdout.readline() == "ready\n"
    for reader in readers:
        assert reader.stdin
        reader.stdin.write("begin\n")
        reader.stdin.flush()
    return [json.loads(reader.communicate(timeout=120)[0]) for reader in readers]


def test_two_processes_of_an_account_are_not_refused(tmp_path: Path) -> None:
    with Sandbox(generate_account(events=20, profiles=5, days=1), rate_limits="real") as sandbox:
        counts = read_at_once(sandbox.url, postgres_database(tmp_path), tmp_path)
    assert [(each["requests"], each["throttled"]) for each in counts] == [(REQUESTS, 0)] * 2

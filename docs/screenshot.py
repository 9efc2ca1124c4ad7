"""Take the README's picture: the asset graph of the simulated account, in the Dagster UI.

Needs Chromium (Debian: `apt-get install chromium`), found on the PATH or through the variable CHROMIUM; everything
else is installed with the project. The DevTools protocol drives it: https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests
from websockets.sync.client import ClientConnection, connect

PICTURE = Path(__file__).with_name("asset_graph.png")
WIDTH, HEIGHT, SCALE = 1400, 1140, 1.14
"""CSS pixels of the window, high enough for the whole graph, and pixels of the picture for each."""
PATIENCE = 180.0
"""Seconds to wait for anything before giving up."""
SETTLE = 3.0
"""Seconds for the graph to come to rest."""

ASSETS = ("klaviyo*/campaign", "klaviyo*/flow", "klaviyo*/metric", "klaviyo/event", "klaviyo/person")
GROUPS = ("klaviyo_core", "klaviyo_snapshots", "klaviyo_tables")
DAYS = 3
ACCOUNT = ("--events=5000", "--profiles=500", f"--days={DAYS}")

# What the UI keeps in the browser: a narrow menu, and what the boxes of the graph show.
PREFERENCES = {
    "dagster-nav-collapsed": True,
    "asset-node-facets": ["description", "checks", "status", "kind-tag"],
}

HIDE_LIST_OF_GROUPS = """
(() => {
  let box = document.querySelector('input[placeholder^="Jump to"]');
  while (!box.querySelector("button")) box = box.parentElement;
  box.querySelector("button").click();
})()
"""
LAUNCH = """
mutation ($run: ExecutionParams!) {
  launchPipelineExecution(executionParams: $run) { ... on LaunchRunSuccess { run { id } } }
}
"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


class Page:
    """One tab of a headless Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method and return its result; raises RuntimeError if Chromium refuses it."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)

    def wait_for_text(self, *texts: str) -> None:
        """Wait until the page shows all of the texts."""
        script = f"{json.dumps(texts)}.every(text => document.body && document.body.innerText.includes(text))"
        wait_until(lambda: bool(self.evaluate(script)), f"{texts} on the page")

    def double_click(self, x: float, y: float) -> None:
        """Double-click on a point of the page, in CSS pixels."""
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def screenshot(self) -> bytes:
        """Return what the page shows, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def wait_until(done: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Poll until something is true; raises TimeoutError that says what did not happen."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)


@contextmanager
def browser() -> Iterator[Page]:
    """Start a headless Chromium with an empty profile and give its only tab."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is needed to take the picture: install it, or name it in the variable CHROMIUM.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"]
        flags += ["disable-background-networking", "disable-component-update", "disable-sync"]
        flags += [f"user-data-dir={profile}", "remote-debugging-port=0", f"window-size={WIDTH},{HEIGHT}"]
        command = [program, *(f"--{flag}" for flag in flags), "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                chosen = Path(profile, "DevToolsActivePort")  # Chromium writes the port that it took
                wait_until(lambda: chosen.exists() and "\n" in chosen.read_text(), "Chromium")
                address = f"http://127.0.0.1:{chosen.read_text().split()[0]}"
                tab = next(tab for tab in requests.get(f"{address}/json", timeout=10).json() if tab["type"] == "page")
                with connect(tab["webSocketDebuggerUrl"], max_size=None) as connection:
                    page = Page(connection)
                    page.call(
                        "Emulation.setDeviceMetricsOverride",
                        width=WIDTH, height=HEIGHT, deviceScaleFactor=SCALE, mobile=False,
                    )  # fmt: skip
                    yield page
            finally:
                process.terminate()


@contextmanager
def dagster_ui(first_day: dt.date) -> Iterator[str]:
    """Run `klaviyo-assets dev` with a history of its own and a small account; give the address of the UI."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KLAVIYO_")}
        environment |= {"DAGSTER_DISABLE_TELEMETRY": "1", "KLAVIYO_HISTORY_START": first_day.isoformat()}
        command = [sys.executable, "-m", "klaviyo_assets.cli.main", "dev", f"--port={port}", *ACCOUNT]
        with subprocess.Popen(command, cwd=folder, env=environment) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: process.poll() is not None or _answers(url), "the Dagster UI")
                if process.returncode is not None:
                    sys.exit("The Dagster UI did not start; the reason is above.")
                yield url
            finally:
                process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/server_info", timeout=5).ok
    except requests.ConnectionError:
        return False


def sync(url: str, first_day: dt.date, last_day: dt.date) -> None:
    """Run `klaviyo_sync` as the UI does, and wait for it; raises RuntimeError if it fails."""
    run = {
        "selector": {
            "repositoryLocationName": "klaviyo_sandbox",
            "repositoryName": "__repository__",
            "pipelineName": "klaviyo_sync",
        },
        "mode": "default",
        "executionMetadata": {
            "tags": [
                {"key": "dagster/asset_partition_range_start", "value": first_day.isoformat()},
                {"key": "dagster/asset_partition_range_end", "value": last_day.isoformat()},
            ]
        },
    }
    number = _graphql(url, LAUNCH, run=run)["launchPipelineExecution"]["run"]["id"]
    statuses: list[str] = []

    def ended() -> bool:
        statuses.append(_graphql(url, STATUS, run=number)["runOrError"]["status"])
        return statuses[-1] in ("SUCCESS", "FAILURE", "CANCELED")

    wait_until(ended, "the end of the sync")
    if statuses[-1] != "SUCCESS":
        raise RuntimeError(f"klaviyo_sync: {statuses[-1]}")


def _graphql(url: str, query: str, **variables: Any) -> dict[str, Any]:
    answer = requests.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    if answer.get("errors"):
        raise RuntimeError(str(answer["errors"]))
    return dict(answer["data"])


def main() -> None:
    """Write the picture."""
    today = dt.datetime.now(dt.UTC).date()
    first_day = today - dt.timedelta(days=DAYS)
    selection = " or ".join(f'key:"{asset}"' for asset in ASSETS)
    expanded = ",".join(f"global@global:{group}" for group in GROUPS)
    with dagster_ui(first_day) as url:
        sync(url, first_day, today)
        _graphql(url, "mutation { setNuxSeen }")  # no welcome dialog
        with browser() as page:
            page.open(url)
            page.wait_for_text("Overview")
            for name, value in PREFERENCES.items():
                page.evaluate(f"localStorage.setItem({json.dumps(name)}, {json.dumps(json.dumps(value))})")
            page.open(f"{url}/asset-groups~{quote(selection, safe='')}?{urlencode({'expanded': expanded})}")
            page.wait_for_text("campaign", "person", "Materialized", "1 / 1 Passed")
            page.evaluate(HIDE_LIST_OF_GROUPS)
            time.sleep(SETTLE)
            page.double_click(WIDTH - 150, HEIGHT / 2)  # on the background: centres the graph
            time.sleep(SETTLE)
            PICTURE.write_bytes(page.screenshot())
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

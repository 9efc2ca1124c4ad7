"""The command line, as a user runs it: in processes of their own."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from klaviyo_assets.cli.main import main
from klaviyo_assets_tests.commands import COMMAND, SMALL, environment, run


def test_help_names_the_commands(tmp_path: Path) -> None:
    for arguments in (["--help"], ["-h"]):
        done = run(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: klaviyo-assets ")
        for command in ("demo", "dev", "sandbox"):
            assert f"\n  {command} " in done.stdout
    done = run("export", cwd=tmp_path)
    assert done.returncode == 2 and "No such command 'export'" in done.stderr


@pytest.mark.parametrize(
    "by", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)], ids=lambda by: by.name
)
def test_sandbox_serves_until_it_is_stopped(by: signal.Signals) -> None:
    command = [*COMMAND, "sandbox", "--port=0", "--rate-limits", *SMALL]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.split()[-1]
            assert "API key pk_sandbox" in line and url.startswith("http://127.0.0.1:")
            response = requests.get(
                f"{url}/events",
                params={"page[size]": 1000},
                headers={"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"},
                timeout=60,
            )
            assert len(response.json()["data"]) == 300
            assert 429 in statuses(url), "it has Klaviyo's limits"
            process.send_signal(by)
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=60)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--port={taken}", "127.0.0.1:{taken} can't be used (Address already in use); choose another --port."),
        ("--now=yesterday", "has to be a time with a zone, 2026-05-01T12:00:00Z for one, not 'yesterday'."),
        ("--now=2026-05-01", "has to be a time with a zone, 2026-05-01T12:00:00Z for one, not '2026-05-01'."),
        ("--events=-5", "-5 is not in the range x>=0."),
        ("--profiles=0", "0 is not in the range x>=1."),
    ],
)
def test_a_sandbox_that_can_not_be(option: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        done = CliRunner().invoke(main, ["sandbox", *SMALL, option.format(taken=taken)])
    assert done.exit_code in (1, 2) and done.output.endswith(says.format(taken=taken) + "\n"), done.output


def test_a_sandbox_that_is_slow_faulty_or_without_limits() -> None:
    options = ["--now=2026-05-01T12:00:00+00:00", "--latency=0.05", "--no-rate-limits", "--faults=7"]
    with subprocess.Popen(
        [*COMMAND, "sandbox", *SMALL, *options], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("faults of seed 7: ")
            url = process.stdout.readline().split()[-1]
            before = time.monotonic()
            answers = statuses(url)
            assert time.monotonic() - before > 0.05 * len(answers) and 429 not in answers
        finally:
            process.terminate()


def statuses(url: str) -> list[int]:
    """Of requests in a row, of an operation that may be asked for once a second."""
    headers = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
    ask = partial(requests.get, f"{url}/accounts", headers=headers, timeout=60, stream=True)
    return [ask().status_code for _ in range(4)]

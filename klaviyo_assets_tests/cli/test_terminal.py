"""The commands on a terminal: Ctrl-C ends them with a line. What they show is in test_demo.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_assets_tests.commands import SMALL, Terminal
from klaviyo_assets_tests.conftest import only


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, **variables: str) -> Terminal:
        opened.append(Terminal(*arguments, cwd=tmp_path, **variables))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(r"Making the simulated account", id="start"),
        pytest.param(r"klaviyo event", id="event", marks=pytest.mark.soak),
        pytest.param(r"klaviyo_staging (campaigns|lists)", id="snapshots"),
    ],
)
def test_ctrl_c_ends_a_demo_with_a_line(open_terminal: Callable[..., Terminal], moment: str) -> None:
    terminal = open_terminal(
        "demo", *SMALL, KLAVIYO_TABLES=json.dumps(only("campaign", "list")), KLAVIYO_MODELS="false"
    )
    terminal.until(lambda text: re.search(moment, text))
    assert re.search(moment, terminal.text), terminal.text
    terminal.press(b"\x03")
    assert terminal.status() == 130, terminal.text
    assert "Traceback" not in terminal.text and "Error" not in terminal.text
    last = [line for line in terminal.text.splitlines() if line.strip()][-1]
    assert last.endswith("Stopped. The next demo begins anew.")


def test_ctrl_c_at_a_question(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("init", KLAVIYO_API_KEY="")
    terminal.until(lambda text: "it is not shown" in text)
    terminal.press(b"\x03")
    assert terminal.status() == 130, terminal.text
    assert terminal.text.rstrip().endswith("Stopped."), terminal.text

"""The commands on a terminal: they show what they do, and Ctrl-C ends them with a line."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_assets_tests.test_commands import SMALL, environment

PATIENCE = 300.0
"""Seconds until a test gives up: many times what it needs."""

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.shown = ""
        self._end, self._terminal = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "klaviyo_assets.cli.main", *arguments],
            cwd=cwd,
            env=environment(TERM="xterm", COLUMNS="120", LINES="40"),
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=self._terminal,
            start_new_session=True,
            preexec_fn=self._take,
        )
        os.close(self._terminal)

    def _take(self) -> None:
        """Make it the process's own terminal, so that a key that is pressed there becomes a signal."""
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    @property
    def text(self) -> str:
        return _CODES.sub("", self.shown)

    def until(self, seen: Callable[[str], object] = lambda text: False) -> None:
        """Read until something is seen, or the command has ended."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.text):
            assert time.monotonic() < deadline, self.text[-2000:]
            if not select.select([self._end], [], [], 1)[0]:
                continue
            try:
                read = os.read(self._end, 65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return
            if not read:
                return
            self.shown += read.decode(errors="replace")

    def press(self, key: bytes) -> None:
        os.write(self._end, key)

    def status(self) -> int:
        self.until()
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._end)


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments, cwd=tmp_path))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.mark.parametrize(
    "moment",
    [r"Making the simulated account", r"klaviyo event", r"klaviyo_staging (campaigns|lists)"],
    ids=["start", "event", "snapshots"],
)
def test_ctrl_c_ends_a_demo_with_a_line(open_terminal: Callable[..., Terminal], moment: str) -> None:
    terminal = open_terminal("demo", *SMALL)
    terminal.until(lambda text: re.search(moment, text))
    assert re.search(moment, terminal.text), terminal.text
    terminal.press(b"\x03")
    assert terminal.status() == 130, terminal.text
    assert "Traceback" not in terminal.text and "Error" not in terminal.text
    last = [line for line in terminal.text.splitlines() if line.strip()][-1]
    assert last.endswith("Stopped. What was loaded stays; another run goes on from there.")


def test_a_demo_shows_its_steps_and_reads(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal("demo", "--events=3000", "--profiles=50", "--days=3")
    assert terminal.status() == 0, terminal.text
    assert "klaviyo_sync" in terminal.text and "klaviyo_models_job" in terminal.text
    read = [int(rows.replace(",", "")) for rows in re.findall(r"([\d,]+) rows read", terminal.text)]
    assert max(read) > 1000
    assert "3,000" in terminal.text.split("asset ")[1], "the table stays when the bars are gone"

"""What tests of the commands share: running one in a pipe or in a terminal, away from settings of ours."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# A process that is started in the background inherits that SIGINT is ignored: take it up again, as a terminal does.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from klaviyo_assets.cli.main import main; main(prog_name='klaviyo-assets')"
)
COMMAND = [sys.executable, "-c", MAIN]
SMALL = ["--events=300", "--profiles=50", "--days=3"]
PATIENCE = 300.0
"""Seconds until a test gives up: many times what it needs."""

ELSEWHERE = {
    "KLAVIYO_WAREHOUSE": "{folder}/real.duckdb",
    "KLAVIYO_DUCKDB_PATH": "{folder}/real.duckdb",
    "KLAVIYO_SCHEMA": "real",
    "KLAVIYO_NAME": "real",
    "KLAVIYO_SETTINGS": "real.yaml",
    "DAGSTER_HOME": "{folder}/real_home",
}

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    return kept | more


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def counts(output: str) -> dict[str, list[int]]:
    """Table -> rows, new, updated, new columns and deleted, from a table that the demo prints."""
    rows = re.findall(r"klaviyo/(\w+) +((?:[\d,]+ +){5})[\d.]+", output)
    return {name: [int(cell.replace(",", "")) for cell in cells.split()] for name, cells in rows}


def real_account(folder: Path) -> dict[str, str]:
    """What the shell says of a real account whose places are in a folder: to be left alone."""
    return {name: value.format(folder=folder) for name, value in ELSEWHERE.items()}


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *arguments: str, cwd: Path, **variables: str) -> None:
        self.shown = ""
        self._end, self._terminal = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "klaviyo_assets.cli.main", *arguments],
            cwd=cwd,
            env=environment(TERM="xterm", COLUMNS="120", LINES="40", **variables),
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=self._terminal,
            start_new_session=True,
            preexec_fn=self._take,
        )
        os.close(self._terminal)

    def _take(self) -> None:
        """Make it the process's own terminal, so that a key that is pressed there becomes a signal.

        Who runs the tests in the background has them ignore it.
        """
        import fcntl
        import termios

        signal.signal(signal.SIGINT, signal.SIG_DFL)
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

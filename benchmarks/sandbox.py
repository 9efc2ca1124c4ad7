"""The simulated Klaviyo as the benchmarks see it: a process of its own, whose CPU time is not counted."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Served:
    """A sandbox that is running; `url` is the base of its API, `now` its time when it started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        hello = self._read()
        self.url: str = hello["url"]
        self.now = dt.datetime.fromisoformat(hello["now"])

    def tell(self, **wishes: Any) -> dict[str, Any]:
        """Change what `serve` can change; return its CPU seconds, requests and refusals so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wishes) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return answer


@contextmanager
def serving(account: Mapping[str, Any]) -> Iterator[Served]:
    """Serve an account, described as `account.make_account` takes it; `mixed` one as the demo has it."""
    command = [sys.executable, "-m", "benchmarks.serve", json.dumps(dict(account))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Served(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()

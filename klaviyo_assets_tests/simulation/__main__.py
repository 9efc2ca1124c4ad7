"""`python -m klaviyo_assets_tests.simulation FIRST COUNT`: histories on all cores, until one is wrong."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import click
import pytest

from klaviyo_assets_tests.simulation.history import History, Wrong, simulated

_PIECE = 10


@cache
def _histories() -> Callable[[int], History]:
    patch = pytest.MonkeyPatch()
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(dir=memory if Path(memory).is_dir() else None)
    return simulated(Path(folder), patch)


def live(seeds: range) -> str | None:
    """Run histories; return the story of one that is wrong."""
    for seed in seeds:
        history = _histories()(seed)
        try:
            history.live()
        except Wrong as wrong:
            return str(wrong)
    return None


def main(first: int, count: int) -> int:
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        pieces = [range(at, min(at + _PIECE, first + count)) for at in range(first, first + count, _PIECE)]
        running = {processes.submit(live, seeds): seeds for seeds in pieces}
        for future in as_completed(running):
            done += len(running[future])
            if story := future.result():
                click.echo(story)
                processes.shutdown(cancel_futures=True)
                return 1
            click.echo(f"{done:,} of {count:,} histories, {done / (time.monotonic() - began):.2f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

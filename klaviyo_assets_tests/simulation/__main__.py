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

from klaviyo_assets_tests.simulation import plan
from klaviyo_assets_tests.simulation.history import History, Wrong, simulated

_PIECE = 10


@cache
def _histories(tier: int) -> Callable[[int], History]:
    patch = pytest.MonkeyPatch()
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(dir=memory if Path(memory).is_dir() else None)
    return simulated(Path(folder), patch, tier)


def lived(seed: int, steps: plan.Steps, tier: int = 2) -> Wrong | None:
    """Run a history; return what is wrong with it."""
    try:
        _histories(tier)(seed).live(steps)
    except Wrong as wrong:
        return wrong
    return None


def live(seeds: range) -> int | None:
    """Run the histories of seeds; return the first that is wrong."""
    return next((seed for seed in seeds if lived(seed, plan.history(seed))), None)


def story(seed: int) -> str:
    """Return the shortest history of a seed that is still wrong."""
    steps = plan.shortest(plan.history(seed), lambda steps: lived(seed, steps) is not None)
    return str(lived(seed, steps))


def main(first: int, count: int) -> int:
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        pieces = [range(at, min(at + _PIECE, first + count)) for at in range(first, first + count, _PIECE)]
        running = {processes.submit(live, seeds): seeds for seeds in pieces}
        for future in as_completed(running):
            done += len(running[future])
            wrong = future.result()
            if wrong is not None:
                click.echo(f"The history {wrong} is wrong; this is what it takes (looking for it takes minutes).")
                processes.shutdown(cancel_futures=True)
                click.echo(story(wrong))
                return 1
            click.echo(f"{done:,} of {count:,} histories, {done / (time.monotonic() - began):.2f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

"""`python -m klaviyo_assets_tests.simulation FIRST COUNT TIER`: histories on all cores, until one is wrong.

TIER: 1, of dictionaries; 2, of DuckDB; 0, all seeds on the first one and one in a hundred on the second one as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import click

from klaviyo_assets_tests.simulation import plan
from klaviyo_assets_tests.simulation.history import History, Wrong, simulated

_PIECES = {1: 100, 2: 5}
"""Tier -> histories of it that a process lives through at once."""

_ALSO_IN_SECOND = 100

_of_process = ExitStack()


@cache
def _histories(tier: int) -> Callable[[int], History]:
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(dir=memory if Path(memory).is_dir() else None)
    return _of_process.enter_context(simulated(Path(folder), tier))


def lived(seed: int, steps: plan.Steps, tier: int = 2) -> Wrong | None:
    """Run a history; return what is wrong with it."""
    try:
        _histories(tier)(seed).live(steps)
    except Wrong as wrong:
        return wrong
    return None


def live(seeds: range, tier: int) -> int | None:
    """Run the histories of seeds; return the first that is wrong."""
    return next((seed for seed in seeds if lived(seed, plan.history(seed), tier)), None)


def story(seed: int, tier: int) -> str:
    """Return the shortest history of a seed that is still wrong."""
    steps = plan.shortest(plan.history(seed), lambda steps: lived(seed, steps, tier) is not None)
    return str(lived(seed, steps, tier))


def pieces(seeds: range, tier: int) -> list[tuple[range, int]]:
    """Return what is to be done, with the tier of each."""
    if not tier:
        also = range(seeds.start + -seeds.start % _ALSO_IN_SECOND, seeds.stop, _ALSO_IN_SECOND)
        return [*pieces(also, 2), *pieces(seeds, 1)]
    size = _PIECES[tier]
    return [(seeds[at : at + size], tier) for at in range(0, len(seeds), size)]


def main(first: int, count: int, tier: int = 0) -> int:
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        wanted = pieces(range(first, first + count), tier)
        total = sum(len(seeds) for seeds, _ in wanted)
        running = {processes.submit(live, *piece): piece for piece in wanted}
        for future in as_completed(running):
            seeds, of = running[future]
            done += len(seeds)
            wrong = future.result()
            if wrong is not None:
                click.echo(f"The history {wrong} of tier {of} is wrong; this is what it takes (which is looked for):")
                processes.shutdown(cancel_futures=True)
                click.echo(story(wrong, of))
                return 1
            click.echo(f"{done:,} of {total:,} histories, {done / (time.monotonic() - began):.2f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

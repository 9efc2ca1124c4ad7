"""Whether both tiers come to the same: each is a test of the other.

`python -m ... FIRST COUNT` compares the histories of seeds.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from klaviyo_assets.warehouse.state import CONTENT, SNAPSHOT_CONTENT, SyncState
from klaviyo_assets_tests.simulation import plan
from klaviyo_assets_tests.simulation.history import KEYS, History, Wrong, simulated

Make = Callable[[int], History]
SYSTEM = "_fivetran_synced"
MOST_STEPS = 60
"""Requests and loads of a sync, about: one of them ends it, for those are the same in both tiers."""


@dataclass(frozen=True)
class Looked:
    """What was there at a look. told: how much had happened. rows: (table, key, column) -> value, unless NULL."""

    told: int
    rows: Mapping[tuple[Any, ...], Any]
    states: Mapping[tuple[str, str], SyncState]


def lived(make: Make, seed: int, steps: plan.Steps) -> tuple[list[Looked], list[str]]:
    """Live through a history; return what was there at each look, and what was told in the end."""
    history, looked = make(seed), list[Looked]()
    history.tier.begin(lambda: None)  # its own steps are not those of the other tier
    history.scale = 1

    def watch() -> None:
        rows = {
            (name, *(row[column] for column in KEYS[name]), column): _naive(value)
            for name in KEYS
            for row in history.rows(name)
            for column, value in row.items()
            if value is not None and column != SYSTEM
        }
        states = {
            key: replace(state, stored_at=None, read_number=None)
            for key, state in history.warehouse.states().items()
            if key[1] not in (CONTENT, SNAPSHOT_CONTENT)  # these save work, and change nothing
        }
        looked.append(Looked(len(history.told), rows, states))

    history.watch = watch
    try:
        history.live(steps)
    except Wrong as wrong:
        return looked, [*history.told, *wrong.problems]
    return looked, history.told


def disagreement(first: Make, second: Make, seed: int, steps: plan.Steps) -> list[str]:
    """What the tiers do not agree on, in words, after what happened before."""
    steps = tuple(replace(step, kill=step.kill and step.kill % MOST_STEPS) for step in steps)
    (ours, told), (theirs, also_told) = (lived(make, seed, steps) for make in (first, second))
    for one, other in zip(ours, theirs, strict=False):
        problems = [*_differences(one.rows, other.rows), *_differences(one.states, other.states)]
        if problems:
            return [*told[: one.told], *problems[:10]]
    return [] if told == also_told else [*told, "-- but in the other:", *also_told]


def _differences(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[str]:
    different = [key for key in one.keys() | other.keys() if repr(one.get(key)) != repr(other.get(key))]
    return sorted(f"{key}: {one.get(key)!r} and {other.get(key)!r}" for key in different)


def _naive(value: Any) -> Any:
    zoned = isinstance(value, dt.datetime) and value.tzinfo
    return value.astimezone(dt.UTC).replace(tzinfo=None) if zoned else value


def main(first: int, count: int) -> int:
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        simulated(Path(folder), 1) as one,
        simulated(Path(folder), 2) as other,
    ):
        for seed in range(first, first + count):
            if problems := disagreement(one, other, seed, plan.history(seed)):
                click.echo("\n".join([f"seed {seed}", *problems]))
                return 1
            click.echo(f"The tiers agree on {seed}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

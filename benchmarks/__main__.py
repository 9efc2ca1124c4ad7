"""`make bench`: run cases, print what they used, and write it to benchmarks/RESULTS.md if asked to."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TypeVar

import click

from benchmarks.cases import CASES, CEILING, Case, Result, run_case
from benchmarks.peers import COMPARISONS, Comparison, compare

_Named = TypeVar("_Named", Case, Comparison)

RESULTS = Path(__file__).parent / "RESULTS.md"
STAGES = ("wait", "receive", "parse", "map", "type", "spool", "workers", "load", "commit")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cases", nargs=-1)
@click.option(
    "--times", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each case; medians are shown."
)
@click.option("--all", "everything", is_flag=True, help="Also the cases that take minutes and gigabytes.")
@click.option("--list", "only_list", is_flag=True, help="Show the names of the cases.")
@click.option("--write", is_flag=True, help="Write benchmarks/RESULTS.md.")
@click.option(
    "--peers", is_flag=True, help="EVENT beside ingestr and Airbyte, installed into .bench-peers (make bench-peers)."
)
def main(cases: tuple[str, ...], times: int, everything: bool, only_list: bool, write: bool, peers: bool) -> None:
    """Measure CASES (names or their beginnings; default: all small ones) against a simulated Klaviyo.

    Each run is a fresh process, from its start to its end, Dagster's included. The simulated Klaviyo is a process of
    its own on the same machine; its CPU time is shown but not counted.
    """
    if only_list:
        for case in CASES:
            click.echo(f"{case.name}{'  (only with --all or by its name)' if case.big else ''}")
        for comparison in COMPARISONS:
            click.echo(f"--peers {comparison.name!r}")
        return
    if peers:
        lines = compare(times, _named(COMPARISONS, cases) if cases else COMPARISONS[:1])
    else:
        chosen = _named(CASES, cases) if cases else [case for case in CASES if everything or not case.big]
        lines = [_HEAD, "|---" * _HEAD.count(" | ") + "|---|"]
        click.echo(lines[0])
        for case in chosen:
            lines.append(_row(run_case(case, times)))
            click.echo(lines[-1])
    if write:
        _write("Beside other tools" if peers else "Runs", lines)


def _named(known: Sequence[_Named], names: Sequence[str]) -> list[_Named]:
    """Return those that have one of the names, or begin with one that none has; raise click.UsageError for others."""
    found: list[_Named] = []
    for name in names:
        same = [case for case in known if case.name == name] or [c for c in known if c.name.startswith(name)]
        if not same:
            raise click.UsageError(f"No case is called {name!r}, or begins so: --list shows them.")
        found += same
    return [case for case in known if case in found]


def _write(title: str, lines: list[str]) -> None:
    """Write a table to RESULTS.md; the rows of other cases that are there stay, so that cases can be run one by one.

    Not those below another head: their figures are of something else.
    """
    first, *others = RESULTS.read_text().split("\n## ") if RESULTS.exists() else ["# Results\n"]
    parts = {part.partition("\n")[0]: part for part in others}
    there = parts.get(title, "").splitlines()
    rows = {_case(line): line for line in [*(there if lines[0] in there else ()), *lines] if line.startswith("| ")}
    head = rows.pop(_case(lines[0]))
    names = [*(case.name for case in COMPARISONS), *(case.name for case in CASES)]
    order = {name: place for place, name in enumerate(names)}
    table = [head, lines[1], *sorted(rows.values(), key=lambda row: order.get(_case(row).partition(":")[0], 0))]
    parts[title] = "\n".join([title, "", _machine(), "", *table]) + "\n"
    RESULTS.write_text("\n## ".join([first, *parts.values()]))


def _case(row: str) -> str:
    return row.split("|")[1].strip()


_HEAD = (
    "| case | runs | wall s | CPU s | rows/s | CPU s per million rows | peak MB | requests (429) "
    f"| share of the API's ceiling | load s | sandbox CPU s | {' / '.join(STAGES)} |"
)


def _row(results: list[Result]) -> str:
    def middle(of: list[float]) -> float:
        return median(of)

    first = results[0]
    wall, cpu = middle([r.used.wall for r in results]), middle([r.used.cpu for r in results])
    rate = first.rows / wall
    share = f"{rate / CEILING[first.table]:.0%}" if first.table in CEILING else ""
    stages = " / ".join(f"{middle([r.stages.get(stage, 0.0) for r in results]):.1f}" for stage in STAGES)
    cells = [
        first.case, str(len(results)), f"{wall:.1f}",
        f"{cpu:.1f}", f"{rate:,.0f}", f"{cpu / max(first.rows, 1) * 1e6:,.0f}",
        f"{middle([r.used.peak for r in results]):,.0f}", f"{first.requests:,} ({sum(r.refused for r in results)})",
        share, f"{middle([r.seconds_loading for r in results]):.2f}",
        f"{middle([r.cpu_sandbox for r in results]):.1f}", stages,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("dagster", "duckdb", "pyarrow", "msgspec"))
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {packages}. Medians of the runs."
    )


if __name__ == "__main__":
    main()

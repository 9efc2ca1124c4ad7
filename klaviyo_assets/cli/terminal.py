"""What a command shows on a terminal while it works: nothing is silent for longer than a moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click
import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from klaviyo_assets.sync.progress import ProgressReport, listening

_SHARES = 1000


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show that something takes a while."""
    with _bars() as bars:
        if bars:
            bars.add_task(what, total=None, detail="")
        yield


@contextmanager
def following(instance: dg.DagsterInstance, run_id: str, job: dg.JobDefinition) -> Iterator[Callable[[str], None]]:
    """Show how far a run in this process is: its steps, and the rows of each long read. Gives what prints a line."""
    with _bars() as bars:
        if bars is None:
            yield click.echo
            return
        steps = bars.add_task(job.name, total=len(job.graph.node_dict), detail="starting")
        reads: dict[str, TaskID] = {}

        def show_step(entry: dg.EventLogEntry) -> None:
            event = entry.dagster_event
            if event is None or event.step_key is None:
                return
            if event.is_step_start:
                bars.update(steps, detail=event.step_key.replace("__", " "))
            elif event.is_step_success or event.is_step_failure or event.is_step_skipped:
                bars.advance(steps)

        def show_read(report: ProgressReport) -> None:
            if report.label not in reads:
                reads[report.label] = bars.add_task(report.label, total=_SHARES, detail="")
            bars.update(
                reads[report.label], completed=round(report.share * _SHARES), detail=f"{report.rows:,} rows read"
            )

        instance.add_event_listener(run_id, show_step)

        def say(line: str) -> None:
            bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

        with listening(show_read):
            yield say


@contextmanager
def _bars() -> Iterator[Progress | None]:
    """Give bars that vanish in the end; None if nobody looks."""
    if not sys.stdout.isatty():
        yield None
        return
    # Of its own: where Dagster captures what is printed, stdout is a file during a run.
    with _terminal() as file:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        console = Console(file=file, force_terminal=True)
        with Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as progress:
            yield progress


def _terminal() -> TextIO:
    return os.fdopen(os.dup(sys.stdout.fileno()), "w")

"""What is done with pages, in whatever process: they become rows, and the rows files of their tables' spools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from klaviyo_assets.schema.columns import Batch
from klaviyo_assets.schema.lost import Recorded, noting
from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.spool import Spool, SpoolFile, SpoolWriter, add_batch, close_all

READY = b"\0klaviyo_assets\n"
"""What a process writes before its first answer."""

Convert = Callable[[bytes], Batch]
"""From the content of a page to rows. What other processes are to do must be picklable."""


@dataclass(frozen=True)
class Target:
    """Where rows of a table go, and numbers for the files there that nobody else uses."""

    spec: TableSpec
    folder: Path
    numbers: range


@dataclass(frozen=True)
class Task:
    """Pages that come after each other, and where their rows go. Who has no more use for a page takes it away."""

    pages: list[bytes] = field(repr=False)
    targets: Sequence[Target]


@dataclass(frozen=True)
class Done:
    """What has become of a task.

    files: spec name -> its files, in order. unfit: spec name -> values that its columns could not hold. misshapen: what
    pages had of another shape than they should.
    """

    files: Mapping[str, Sequence[SpoolFile]]
    unfit: Mapping[str, Recorded]
    misshapen: Recorded


class Unpicklable(Exception):
    """What was raised in another process and can't be told as it is, in its own words."""


def do(task: Task, convert: Convert) -> Done:
    """Turn the pages of a task into files.

    Raises DiskFull, and whatever `convert` raises.
    """
    unfit = {target.spec.name: Recorded() for target in task.targets}
    writers = {
        target.spec.name: SpoolWriter(
            target.spec, Spool(target.folder, numbers=target.numbers), unfit[target.spec.name]
        )
        for target in task.targets
    }
    misshapen = Recorded()
    with noting(misshapen):
        while task.pages:
            add_batch(convert(task.pages.pop(0)), writers)
        close_all(writers)
    return Done(
        {name: writer.spool.files for name, writer in writers.items()},
        unfit,
        misshapen,
    )

"""Another process, which loads rows of numbers: `python -m klaviyo_assets.verification.process` with `Task` as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from klaviyo_assets import environment
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.verification.loading import load
from klaviyo_assets.verification.watched import watched
from klaviyo_assets.warehouse.warehouse import Warehouse

DIED = 9
"""The status of a process that died before its commit."""

_STARTED: list[subprocess.Popen[str]] = []


@dataclass(frozen=True)
class Task:
    """Load the rows from `first` on, `end` not included, in some loads; with `dies` the commit never comes.

    file: DuckDB's, in the place of the warehouse that the settings name. fields: of the warehouse.
    """

    first: int
    end: int
    loads: int = 1
    dies: bool = False
    file: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def started(warehouse: Warehouse, task: Task) -> subprocess.Popen[str]:
    """Start a process that does a task in the schema of a warehouse."""
    names = {"schema_name", "lock_timeout", "lease"} & type(warehouse).model_fields.keys()
    fields = {name: getattr(warehouse, name) for name in names}
    told = {**asdict(task), "fields": fields, "file": getattr(warehouse, "database", None)}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__, json.dumps(told)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _STARTED.append(process)
    return process


def kill_all() -> None:
    """End all processes that were started, so that none makes a schema that is dropped."""
    for process in _STARTED:
        process.kill()


def _die(step: str) -> None:
    if step == "commit":
        os._exit(DIED)


def _do(task: Task) -> None:
    settings = Settings()
    if task.file:
        settings = settings.model_copy(update={"warehouse": task.file})
    warehouse = warehouse_of(settings, **task.fields)
    if task.dies:
        warehouse = watched(warehouse, _die)
    for number in range(task.loads):
        rows = [{"id": str(id), "note": "of another process", f"x_{number}": id} for id in range(task.first, task.end)]
        load(warehouse, rows)


if __name__ == "__main__":
    environment.load()
    _do(Task(**json.loads(sys.argv[1])))

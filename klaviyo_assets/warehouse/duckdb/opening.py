"""Opening a database that somebody else may hold."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import duckdb

from klaviyo_assets.warehouse.duckdb.location import located, shown
from klaviyo_assets.warehouse.errors import WarehouseLocked, WarehouseUnusable

_log = logging.getLogger(__name__)

_LOCKED = re.compile("Could not set lock|lock is held|used by another process")
_HOLDER = re.compile(r"Conflicting lock is held in (.+?)(?:\. |$)")

_waited_in_vain: set[tuple[int, str, str]] = set()
"""Process, database and run: a run waits once for a file, not again in each of its steps."""


def opened(
    database: str,
    config: Mapping[str, Any],
    *,
    timeout: float,
    run_id: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> duckdb.DuckDBPyConnection:
    """Open a database, waiting for whoever holds its file.

    Raises WarehouseLocked, which names the holder, after `timeout` seconds, or at once if the run has waited in vain
    for this file before and it is still held; and WarehouseUnusable if the database can't be opened at all.
    """
    address = located(database)
    this_run = (os.getpid(), address, run_id) if run_id else None
    deadline = clock() + timeout
    pause = 0.05
    waiting = False
    while True:
        try:
            connection = duckdb.connect(address, config=dict(config))
        except duckdb.Error as error:
            reason = shown(str(error).partition("\n")[0]).removeprefix("IO Error: ").replace(f'"{address}"', "it")
            if "newer version" in str(error):
                reason = f"a newer version of DuckDB than {duckdb.__version__} has written it."
            who = _holder(reason)
            if who is None and isinstance(error, duckdb.IOException):
                raise WarehouseUnusable(shown(database), reason) from None
            if who is None:
                raise
            if this_run in _waited_in_vain:
                raise WarehouseLocked(
                    f"{shown(database)} is still held by {who}: this run has waited for it before, and does so only "
                    "once. "
                    "Close it there, and run it again."
                ) from None
            if clock() >= deadline:
                if this_run:
                    _waited_in_vain.add(this_run)
                raise WarehouseLocked(
                    f"{shown(database)} has been held by {who} for {timeout:g} s. Close it there, and run "
                    "it again. Readers should open the file read-only and only while they read."
                ) from None
            if not waiting:
                _log.info("Waiting for %s, which holds %s.", who, shown(database))
                waiting = True
            sleep(pause)
            pause = min(pause * 1.5, 2.0)
        else:
            if this_run:
                _waited_in_vain.discard(this_run)
            return connection


def _holder(error: str) -> str | None:
    """Return who holds the file, if that is why it can't be opened."""
    if "file handle conflict" in error:
        return "another run in this process"  # DuckDB can't open a file that is just being opened or closed
    if "different configuration" in error:
        return "a connection of this same process that was opened in another way, `read_only=True` for example"
    if not _LOCKED.search(error):
        return None
    holder = _HOLDER.search(error)
    return holder.group(1) if holder else "another process"

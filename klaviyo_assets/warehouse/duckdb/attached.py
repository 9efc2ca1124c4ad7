"""A database file, attached for a while to a DuckDB that stays in memory.

A DuckDB costs 20 ms of CPU to start and to stop, a file 3 ms to attach and to detach; a sync uses it fifty times. The
file is free for other processes as soon as it is detached, as it would be after closing it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from klaviyo_assets.warehouse.local.sql import IN_UTC
from klaviyo_assets.warehouse.sql import literal, quote

MOST_IDLE = 4
"""Files whose DuckDB stays although nobody uses it: those of several accounts."""

ROW_GROUP = 30_720
"""Rows that a load puts together. DuckDB's own 122,880 of 500 columns take half a gigabyte until they are written."""

_lock = threading.Lock()
_instances: dict[tuple[int, Path], _Instance] = {}


class _Instance:
    """A DuckDB in memory. name: of the attached database, as DuckDB derives it from the file's."""

    def __init__(self, file: Path) -> None:
        self.temporary = file.with_name(f"{file.name}.tmp")  # as for a file that is opened itself
        self.connection = duckdb.connect(config={"temp_directory": str(self.temporary)})
        self.name = ""
        self.users = 0
        self.usable = True

    def attach(self, file: Path) -> None:
        self.connection.execute(f"ATTACH {literal(str(file))} (ROW_GROUP_SIZE {ROW_GROUP})").fetchall()
        ((self.name,),) = self.connection.execute(
            "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL"
        ).fetchall()

    def detach(self) -> None:
        self.connection.execute("RESET memory_limit").fetchall()
        self.connection.execute("RESET threads").fetchall()
        self.connection.execute(f"DETACH {quote(self.name)}").fetchall()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self.connection.cursor()
        cursor.execute(f"USE {quote(self.name)}").fetchall()
        cursor.execute(IN_UTC).fetchall()
        return cursor


@contextmanager
def attached(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection whose database is the file; raises duckdb.Error if it can't be attached.

    Threads of this process share the DuckDB. What a user of it changes in its settings, the limits of a load excepted,
    or attaches to it, stays. After an error, and after an operation that needed more than the memory, it is given up.
    """
    file = file.absolute()
    key = (os.getpid(), file)  # a forked process has none of the threads
    with _lock:
        instance = _instances.get(key) or _Instance(file)
        _instances[key] = instance
        try:
            if not instance.users:
                instance.attach(file)
            cursor = instance.cursor()
        except BaseException:
            _give_up(key, instance)
            raise
        instance.users += 1
    try:
        yield cursor
    except BaseException:
        instance.usable = False
        raise
    finally:
        cursor.close()
        with _lock:
            instance.users -= 1
            if not instance.users:
                _end(key, instance)


def _end(key: tuple[int, Path], instance: _Instance) -> None:
    # The folder of what did not fit into memory is another process's to use, once the file is.
    if instance.usable and not instance.temporary.exists():
        with suppress(duckdb.Error):
            instance.detach()
            _instances[key] = _instances.pop(key)  # the last to be given up
            idle = [other for other in _instances.items() if other[0][0] == key[0] and not other[1].users]
            for other in idle[:-MOST_IDLE]:
                _give_up(*other)
            return
    _give_up(key, instance)


def _give_up(key: tuple[int, Path], instance: _Instance) -> None:
    instance.usable = False
    if not instance.users:
        instance.connection.close()
        if _instances.get(key) is instance:
            del _instances[key]

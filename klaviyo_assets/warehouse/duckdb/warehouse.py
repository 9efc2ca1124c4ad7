"""A warehouse in a DuckDB file of this machine, or in a database at MotherDuck."""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from klaviyo_assets import clock as clocks
from klaviyo_assets.warehouse.duckdb.attached import attached
from klaviyo_assets.warehouse.duckdb.location import file_of, shown
from klaviyo_assets.warehouse.duckdb.new_file import copy_to_new_file
from klaviyo_assets.warehouse.duckdb.opening import opened
from klaviyo_assets.warehouse.duckdb.session import DuckDBSession
from klaviyo_assets.warehouse.errors import (
    ConstraintViolated,
    DiskFull,
    WarehouseError,
    WarehouseUnusable,
    conversion,
    is_full,
    violation,
)
from klaviyo_assets.warehouse.local.interrupts import interruptible, is_interrupt
from klaviyo_assets.warehouse.local.sql import IN_UTC
from klaviyo_assets.warehouse.warehouse import Warehouse

_Done = TypeVar("_Done")

_log = logging.getLogger(__name__)
_LACKS_MEMORY = re.compile("memory|pin block", re.IGNORECASE)


class DuckDBWarehouse(Warehouse, DuckDBResource):
    """The tables of one Klaviyo account in a DuckDB database.

    Usable wherever a `DuckDBResource` is. The file is open only as long as a transaction or a read takes.

    Example:
        >>> from klaviyo_assets.schema.columns import Columns
        >>> from klaviyo_assets.schema.spec import Column, TableSpec, Type
        >>> from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract
        >>> from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
        >>> columns = (Column("id", Type.TEXT), Column("name", Type.TEXT))
        >>> spec = TableSpec(name="list", columns=columns, primary_key=("id",))
        >>> warehouse = DuckDBWarehouse(database="warehouse.duckdb")
        >>> began = warehouse.begin().number
        >>> with temporary_spool() as spool:
        ...     writer = SpoolWriter(spec, spool)
        ...     writer.add(Columns.of_rows([{"id": "V1", "name": "Newsletter"}, {"id": "V2"}], spec.types))
        ...     writer.close()
        ...     result = warehouse.load(Extract(spec, began=began, coverage=WHOLE_TABLE), spool)
        >>> result.inserted
        2
        >>> warehouse.rows("list", ["id", "name"])
        [('V1', 'Newsletter'), ('V2', None)]
        >>> warehouse.read("list").column_names
        ['id', 'name', '_fivetran_synced', '_fivetran_deleted']
    """

    lock_timeout: float = Field(
        default=120.0, description="Seconds to wait for another process that holds the database file."
    )

    _clock: clocks.Clock | None = PrivateAttr(default=None)
    _run_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note the run, which waits only once for somebody who holds the file."""
        self._run_id = context.run.run_id if context.run else None

    @property
    def place(self) -> str:
        """Where the tables are, in words."""
        return f"The schema {self.schema_name} of {shown(self.database)}"

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and fetch its rows."""
        with self.connect() as connection:
            return connection.execute(statement, parameters).fetchall()

    def copy_to_new_file(self) -> str:
        """Replace the database file by a copy of it, without what it once held; return what was done, in words."""
        file = file_of(self.database)
        if file is None:
            return f"{shown(self.database)} is no file of this machine: it was not copied to a new one."
        if not file.exists():
            return "There is no database yet."
        before = file.stat().st_size
        with self.connect() as connection:
            copy_to_new_file(connection, file)
        return f"{self.database} was copied to a new file: {before:,} bytes before, {file.stat().st_size:,} now."

    # Connections

    def within(self, memory: str, what: str, work: Callable[[str | None], _Done]) -> _Done:
        """Do work within a limit of memory, and without it if that is too little; a limit of the user's own wins."""
        if "memory_limit" in (self.connection_config or {}):
            return work(None)
        try:
            return work(memory)
        except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            if not _LACKS_MEMORY.search(str(error)):
                raise
            _log.info("%s needs more memory than %s: trying again without that limit.", what, memory)
        return work(None)

    def exists(self) -> bool:
        """Return whether there is a database: a file is made by the first load."""
        file = file_of(self.database)
        return file is None or file.exists()

    def try_to_write(self) -> None:
        """Raise what a load would raise, if the database can't be written; change nothing.

        A file that is not there yet is made in a temporary folder where it, or the first of its folders, would be.
        """
        file = file_of(self.database)
        if file is None or file.exists():
            super().try_to_write()
            return
        missing = [folder for folder in file.parents if not os.path.lexists(folder)]
        place = missing[-1].parent if missing else file.parent
        try:
            with tempfile.TemporaryDirectory(prefix=".klaviyo_assets_", dir=place) as folder:
                trial = self.model_copy(update={"database": str(Path(folder, file.name))})
                super(DuckDBWarehouse, trial).try_to_write()
        except OSError as error:
            reason = f"nothing can be made in {place}: {error.strerror}"
            raise WarehouseUnusable(self.database, reason) from None

    def _now(self) -> dt.datetime:
        moment = (self._clock or clocks.machine_time)()
        return moment.astimezone(dt.UTC).replace(tzinfo=None)

    @contextmanager
    def session(self, *, writes: bool) -> Iterator[DuckDBSession]:
        """Give a session on the open database; see `Warehouse.session`."""
        with self._connect() as connection:
            session = DuckDBSession(connection, self._now)
            if not writes:
                yield session
                return
            session.sql("BEGIN TRANSACTION")
            try:
                yield session
            except duckdb.Error as error:
                if is_full(error):
                    raise DiskFull(shown(self.database), "Free some there, and run it again.") from error
                if reason := violation(error):
                    raise ConstraintViolated(self.schema_name, reason) from None
                if reason := conversion(error):
                    raise WarehouseError(
                        f"{shown(self.database)} can't compute something for the rows that came, so nothing was "
                        f"written: {reason}. If an index, a DEFAULT or a generated column of your own converts values, "
                        "drop it, or use TRY_CAST."
                    ) from None
                raise
            finally:
                with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
                    session.rollback()

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `connect` does, for a fraction of the time if it is a file that nobody holds."""
        with ExitStack() as stack:
            connection = self._attach(stack) or stack.enter_context(self.connect())
            with interruptible(connection):
                yield connection

    def _attach(self, stack: ExitStack) -> duckdb.DuckDBPyConnection | None:
        file = file_of(self.database)
        if file is None or self.connection_config:
            return None
        self._make_folder(file)
        try:
            return stack.enter_context(attached(file))
        except (duckdb.Error, RuntimeError) as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from None
            if not isinstance(error, duckdb.Error):
                raise
            return None  # `connect` waits, and knows what to say

    def _make_folder(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnusable(self.database, f"its folder can't be made: {error.strerror}") from None

    @contextmanager
    def connect(
        self, *, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database, waiting for a process that holds the file; close it at the end. Its time zone is UTC.

        Raises WarehouseLocked, which names that process, after `lock_timeout` seconds, for which a run waits once; and
        WarehouseUnusable if the database can't be opened at all.
        """
        if file := file_of(self.database):
            self._make_folder(file)
        connection = opened(
            self.database,
            self.connection_config or {},
            timeout=self.lock_timeout,
            run_id=self._run_id,
            sleep=sleep,
            clock=clock,
        )
        try:
            connection.execute(IN_UTC).fetchall()
            yield connection
        finally:
            connection.close()

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `DuckDBResource` does, but wait for its lock and always close it."""
        with self.connect() as connection:
            yield connection

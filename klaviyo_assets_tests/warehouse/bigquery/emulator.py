"""A server that speaks BigQuery's REST API: bqemulator, mended where it answers otherwise than BigQuery does.

It runs in an environment of its own, of which nothing of this project is a part. It prints its port, and ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import sys
import time
import warnings
from contextlib import suppress
from typing import Any

_out, sys.stdout = sys.stdout, sys.stderr  # it logs while it is imported

import duckdb  # noqa: E402
from bqemulator.api.routes import jobs as routes  # noqa: E402
from bqemulator.catalog.memory_repository import MemoryCatalogRepository  # noqa: E402
from bqemulator.catalog.models import Clustering, TableFieldSchema, TableSchema, TimePartitioning  # noqa: E402
from bqemulator.config import LogLevel, Settings  # noqa: E402
from bqemulator.domain.errors import DomainError, InvalidQueryError, NotFoundError  # noqa: E402
from bqemulator.jobs import executor  # noqa: E402
from bqemulator.server import EmulatorServer  # noqa: E402
from bqemulator.storage.engine import DuckDBEngine  # noqa: E402
from bqemulator.versioning.snapshots import SnapshotManager  # noqa: E402
from duckdb_extensions import import_extension  # noqa: E402

QUEUED = 5.0
"""Seconds for which a statement waits for a transaction that has changed the same table."""

_CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK)\s+TRANSACTION\s*;?\s*", re.IGNORECASE)
_ABORT = re.compile(r"\s*CALL\s+BQ\.ABORT_SESSION\((?:'(\w+)')?\)\s*;?\s*", re.IGNORECASE)
_CHANGES_TABLE = re.compile(
    r"\s*(?:CREATE\s+(?:OR\s+REPLACE\s+)?TABLE(?:\s+IF\s+NOT\s+EXISTS)?|ALTER\s+TABLE)\s+([^\s(]+)", re.I
)
_MISSING = re.compile(r"(?:Schema|Table) with name .* does not exist")
_DROP = "DROP TABLE IF EXISTS "
_CLUSTERED = re.compile(r"\bCLUSTER BY ([^)]*?)(?: OPTIONS| AS )")
_PARTITIONED = re.compile(r"\bPARTITION BY (?:\w+\()?`(\w+)`")
_NUMBERS = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_NAMES = {
    "BIGINT": "INTEGER",
    "DOUBLE": "FLOAT",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "DATETIME",
    "BLOB": "BYTES",
}

session: contextvars.ContextVar[str | None] = contextvars.ContextVar("session", default=None)
is_synchronous: contextvars.ContextVar[bool] = contextvars.ContextVar("is_synchronous", default=False)
cursors: dict[str, duckdb.DuckDBPyConnection] = {}


class Refused(DomainError):
    """An error that `jobs.query` answers with its own status, instead of 200."""


def mend_sessions() -> None:
    """Sessions have ids, but no transactions: each gets a connection of its own."""
    shared = DuckDBEngine.connection.fget
    DuckDBEngine.connection = property(lambda self: cursors.get(session.get() or "") or shared(self))
    validate, mint = routes._validate_session_id, routes._maybe_mint_session
    execute = routes.execute_query_job

    def validated(config: dict[str, Any]) -> None:
        validate(config)
        is_synchronous.set("requestId" in config)
        for entry in config.get("connectionProperties") or ():
            if entry.get("key") == "session_id":
                session.set(entry["value"])

    def minted(config: dict[str, Any]) -> str | None:
        if (token := mint(config)) is not None:
            session.set(token)
        return token

    async def executed(project: str, job: str, sql: str, parameters: Any, ctx: Any, **options: Any) -> Any:
        token = session.get()
        if token and token not in cursors:
            cursors[token] = ctx.engine.connection.cursor()
            cursors[token].execute("SET TimeZone = 'UTC'")
        try:
            if ended := _ABORT.fullmatch(sql):
                gone = ended[1] or token or ""
                if gone not in cursors:
                    raise InvalidQueryError("There is no such session")
                cursors.pop(gone).close()
                routes._SESSION_CATALOG.discard(gone)
                session.set(None)
                sql = "SELECT 1"
            elif token and (control := _CONTROL.fullmatch(sql)):
                with refusing():
                    cursors[token].execute(control[1])
                sql = "SELECT 1"
            return await queued(project, job, sql, parameters, ctx, **options)
        except DomainError as error:
            if not is_synchronous.get():
                raise
            told = Refused(error.message, details=error.details, location=error.location)
            for name in ("http_status", "bq_reason", "grpc_status_name"):
                setattr(told, name, getattr(error, name))
            raise told from error

    async def queued(project: str, job: str, sql: str, parameters: Any, ctx: Any, **options: Any) -> Any:
        token, deadline = session.get(), time.monotonic() + QUEUED
        while True:
            try:
                found = await execute(project, job, sql, parameters, ctx, **options)
                note_columns(project, sql, ctx)
                return found
            except DomainError as error:
                if token:  # a statement that fails ends the transaction
                    with suppress(duckdb.Error):
                        cursors[token].execute("ROLLBACK")
                if _MISSING.search(str(error)):
                    raise NotFoundError(f"Not found: {error}") from error
                if "onflict" not in str(error):
                    raise
                if token or time.monotonic() > deadline:
                    raise InvalidQueryError(f"Transaction is aborted due to concurrent update: {error}") from error
            await asyncio.sleep(0.05)

    routes._validate_session_id, routes._maybe_mint_session = validated, minted
    routes.execute_query_job = executed


class refusing:  # noqa: N801
    """Lets what DuckDB says of a transaction be BigQuery's error."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """End."""
        if isinstance(error, duckdb.Error):
            what = "Transaction is aborted due to concurrent update" if "onflict" in str(error) else "Transaction error"
            raise InvalidQueryError(f"{what}: {error}") from error


def columns_of(engine: Any, reference: str) -> tuple[TableFieldSchema, ...]:
    """The columns that a table really has."""
    fields = []
    for name, kind, nullable, *_ in engine.execute(f"DESCRIBE {reference}").fetchall():
        repeated = kind.endswith("[]")
        base = kind.removesuffix("[]")
        options: dict[str, Any] = {}
        if numbers := _NUMBERS.fullmatch(base):
            base, (precision, scale) = "NUMERIC", map(int, numbers.groups())
            options = {} if (precision, scale) == (38, 9) else {"precision": precision, "scale": scale}
        mode = "REPEATED" if repeated else "REQUIRED" if nullable == "NO" else "NULLABLE"
        fields.append(TableFieldSchema(name=name, type=_NAMES.get(base, base), mode=mode, **options))
    return tuple(fields)


def note_columns(project: str, sql: str, ctx: Any) -> None:
    """The API does not learn of what SQL has changed in a table, and forgets which columns are JSON."""
    found = _CHANGES_TABLE.match(sql)
    parts = found[1].replace("`", "").split(".") if found else []
    if len(parts) < 2:
        return
    *_, dataset, table = [project, *parts]
    known = ctx.catalog.get_table(project, dataset, table)
    if known is None:
        return
    there = {field.name: field for field in known.schema_.fields}
    fields = []
    for field in columns_of(ctx.engine, executor.quoted_table_ref(project, dataset, table)):
        before = there.get(field.name)
        kept = before and _NAMES.get(before.type, before.type).rstrip("64").replace("INT", "INTEGER") == field.type
        fields.append(before if kept and "ALTER COLUMN" not in sql else field)
    changed: dict[str, Any] = {"schema_": TableSchema(fields=tuple(fields))}
    if partitioned := _PARTITIONED.search(sql):
        changed["time_partitioning"] = TimePartitioning(field=partitioned[1])
    if clustered := _CLUSTERED.search(sql):
        changed["clustering"] = Clustering(fields=tuple(clustered[1].replace("`", "").split(", ")))
    ctx.catalog.update_table(known.model_copy(update=changed))


def mend_counts() -> None:
    """A table has as many rows as it had when it was made."""
    original = MemoryCatalogRepository.get_table

    def counted(self: Any, project: str, dataset: str, table: str) -> Any:
        found = original(self, project, dataset, table)
        if found is None or found.table_type != "TABLE":
            return found
        try:
            reference = executor.quoted_table_ref(project, dataset, table)
            ((rows,),) = self._engine.execute(f"SELECT count(*) FROM {reference}").fetchall()
        except duckdb.Error:
            return found
        return found.model_copy(update={"num_rows": rows})

    MemoryCatalogRepository.get_table = counted


def mend_updates() -> None:
    """Columns that the API adds to a table are not there."""
    original = MemoryCatalogRepository.update_table

    def updated(self: Any, table: Any) -> Any:
        if table.table_type == "TABLE":
            engine = self._engine
            reference = executor.quoted_table_ref(table.project_id, table.dataset_id, table.table_id)
            there = {row[0].lower() for row in engine.execute(f"DESCRIBE {reference}").fetchall()}
            new = [field for field in table.schema_.fields if field.name.lower() not in there]
            columns = routes_columns([field.model_dump() for field in new])
            for name, kind in columns:
                quoted = name.replace('"', '""')
                engine.execute(f'ALTER TABLE {reference} ADD COLUMN "{quoted}" {kind}')
        return original(self, table)

    MemoryCatalogRepository.update_table = updated


def routes_columns(fields: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Columns as DuckDB has them."""
    from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

    return bq_schema_to_duckdb_columns(fields)


def mend_drops() -> None:
    """The API drops no views."""
    original = DuckDBEngine.execute

    def executed(self: Any, sql: str, *given: Any, **options: Any) -> Any:
        try:
            return original(self, sql, *given, **options)
        except Exception as error:
            if not sql.startswith(_DROP) or "is of type View" not in str(error):
                raise
            return original(self, sql.replace("TABLE", "VIEW", 1), *given, **options)

    DuckDBEngine.execute = executed


def forget_snapshots() -> None:
    """Each statement copies the table that it has changed, to travel back in time."""
    SnapshotManager.record_change = lambda self, *given, **options: None


async def serve() -> None:
    """Serve until standard input ends."""
    server = EmulatorServer(
        Settings(rest_port=0, grpc_port=0, log_level=LogLevel.ERROR, enable_format_extensions=False)
    )
    await server.start()
    server._engine.connection.execute("SET threads = 1")
    print(server.rest_port, file=_out, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


def main() -> None:
    """Mend what has to be mended, and serve."""
    warnings.simplefilter("ignore")
    import_extension("spatial")
    mend_sessions()
    mend_updates()
    mend_counts()
    mend_drops()
    forget_snapshots()
    asyncio.run(serve())


if __name__ == "__main__":
    main()

"""Moving a DuckDB database to a new file: only so do values that were removed leave the disk.

DuckDB keeps the bytes of dropped columns and of updated rows in free blocks of the file, through CHECKPOINT and VACUUM.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.sql import literal, quote

_FRESH = "klaviyo_assets_fresh"

_GRACE = 1.0
"""Seconds for which the lock on the old file is held after the new one has taken its place: another process that had
just opened the old one finds it locked, and opens the new one when it tries again."""


def copy_to_new_file(
    connection: duckdb.DuckDBPyConnection, file: Path, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Copy the connection's database, all schemas and views, and put the copy in the place of `file`.

    Nobody else can write meanwhile: the connection holds the lock; close it afterwards. Raises WarehouseError, and
    leaves the old file, if something can't be copied.
    """
    file = file.resolve()
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        (name,) = connection.execute("SELECT current_database()").fetchall()[0]
        connection.execute("CHECKPOINT").fetchall()
        connection.execute(f"ATTACH {literal(str(fresh))} AS {quote(_FRESH)}").fetchall()
        connection.execute(f"COPY FROM DATABASE {quote(name)} TO {quote(_FRESH)}").fetchall()
        if _tables(connection, name) != _tables(connection, _FRESH):
            raise WarehouseError("the copy is not complete")
        connection.execute(f"DETACH {quote(_FRESH)}").fetchall()
        shutil.copymode(file, fresh)
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.replace(file)
    except (duckdb.Error, OSError, WarehouseError) as error:
        raise WarehouseError(
            f"The values are removed from the tables, but {file} could not be copied to a new file, so that its free "
            f"blocks may still hold them: {str(error).splitlines()[0]}"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
        fresh.with_name(f"{fresh.name}.wal").unlink(missing_ok=True)
    sleep(_GRACE)


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], int]:
    """Return (schema, table) -> number of rows."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? AND NOT temporary", [database]
    ).fetchall()
    return {
        (schema, table): connection.execute(f"SELECT count(*) FROM {quote(database, schema, table)}").fetchall()[0][0]
        for schema, table in found
    }

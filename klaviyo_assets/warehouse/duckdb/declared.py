"""Tables that no load has mended yet: users leave them with fewer columns than are declared, and with other types.

A load begins with `Transaction.ensure`, which adds columns and changes types. Whatever looks at a table before that, or
at the table of another load, looks at it through `as_declared`, and changes it only if it `is_declared`.
"""

from __future__ import annotations

from collections.abc import Mapping

from klaviyo_assets.schema.spec import SYSTEM_COLUMNS, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.rows import Source
from klaviyo_assets.warehouse.duckdb.sql import NANOSECONDS, TEXT, TYPE_NAMES, ZONED, convert, quote, type_of

_HOLD_ALL = {Type.TIMESTAMP: (ZONED, NANOSECONDS)}
"""Types of columns that stay as they are: they hold what the declared type does, and compare with it."""


def with_system_columns(spec: TableSpec, *names: str) -> dict[str, Type]:
    """Return name -> type of some of a table's columns, text if they are not declared, and of the system columns."""
    return {name: spec.types.get(name, Type.TEXT) for name in names} | {
        column.name: column.type for column in SYSTEM_COLUMNS
    }


def holds_all(native: str, declared: Type) -> bool:
    """Return whether a column of one of DuckDB's types holds, and compares with, all values of a declared type."""
    return native in (TYPE_NAMES[declared], *_HOLD_ALL.get(declared, ()))


def is_declared(existing: Mapping[str, str], types: Mapping[str, Type]) -> bool:
    """Return whether a table has columns as they are declared. existing: column -> DuckDB's name of its type."""
    return all(name in existing and holds_all(existing[name], kind) for name, kind in types.items())


def as_declared(source: Source, types: Mapping[str, Type]) -> str:
    """Return the relation of a table in which columns have their declared types, as `ensure` would make them.

    A column that the table lacks is NULL, and so is a value that is none of its declared type.
    """
    there, other = source.types, {}
    for name, kind in types.items():
        if name in there and not _compares(there[name], kind):
            other[name] = f"{_converted(name, there[name], kind)} AS {quote(name)}"
    lacking = [
        f"CAST(NULL AS {TYPE_NAMES[kind]}) AS {quote(name)}" for name, kind in types.items() if name not in there
    ]
    if not other and not lacking:
        return source.relation
    replaced = f"* REPLACE ({', '.join(other.values())})" if other else "*"
    return f"(SELECT {', '.join([replaced, *lacking])} FROM {source.relation})"


def _compares(native: str, declared: Type) -> bool:
    return type_of(native) is declared if declared is Type.TIMESTAMP else native == TYPE_NAMES[declared]


def _converted(name: str, native: str, declared: Type) -> str:
    if declared is Type.TEXT:
        return convert(quote(name), native, TEXT)
    text = f"CAST({quote(name)} AS VARCHAR)"
    if declared is Type.TIMESTAMP:  # by way of a zoned one: else DuckDB leaves out the zone
        return f"CAST(TRY_CAST({text} AS {ZONED}) AS TIMESTAMP)"
    return f"TRY_CAST({text} AS {TYPE_NAMES[declared]})"

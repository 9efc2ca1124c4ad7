"""Making tables: each has a version, by which the newest of the rows with one key is known.

What ALTER can't do as one step is done beside the table, which is then exchanged: it is as it was, or as it should be.

https://clickhouse.com/docs/sql-reference/statements/exchange
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.clickhouse.catalog import GONE, HIDDEN, VERSION, ClickHouseCatalog, Column
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.sql import column_list, literal, quote

_STATES = f"{quote(VERSION)}, {quote(GONE)}"


def made(types: Mapping[str, str], key: Sequence[str], *, states: bool) -> str:
    """Return the columns and the engine of a table.

    types: column -> native type. states: whether its rows can go again, and lack a part of their key.
    """
    ddl = [
        f"{quote(name)} {native}" if name in key and not states else f"{quote(name)} {_nullable(native)}"
        for name, native in types.items()
    ]
    ddl.append(f"{quote(VERSION)} UInt64 MATERIALIZED 0")
    if states:
        ddl.append(f"{quote(GONE)} UInt8 MATERIALIZED 0")
    engine = f"ReplacingMergeTree({_STATES if states else quote(VERSION)})"
    settings = " SETTINGS allow_nullable_key = 1" if states else ""
    return f"({', '.join(ddl)}) ENGINE = {engine} ORDER BY ({column_list(key)}){settings}"


def nullable(native: str) -> str:
    """Return a native type that can be NULL."""
    return _nullable(native)


def _nullable(native: str) -> str:
    if native.startswith(("Array", "Map", "Tuple", "Nested", "JSON", "Variant", "Dynamic", "AggregateFunction")):
        return native  # they have no NULL
    if native.startswith("LowCardinality("):
        return f"LowCardinality(Nullable({native.removeprefix('LowCardinality(')})"
    return f"Nullable({native})"


def has_key(session: ClickHouseCatalog, schema: str, spec: TableSpec) -> bool:
    """Return whether the rows of a table replace each other by its key and our version."""
    relation = session.relations(schema)[spec.name]
    return (
        relation.engine.endswith("ReplacingMergeTree")
        and VERSION in session.every_column(schema, spec.name)
        and relation.key.replace(" ", "").strip("()").split(",") == [_bare(name) for name in spec.primary_key]
    )


def _bare(name: str) -> str:
    return name if name.isidentifier() else "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def widen(
    session: ClickHouseCatalog,
    schema: str,
    table: str,
    changes: Mapping[str, tuple[str, str]],
    check: Callable[[], None],
) -> None:
    """Change the types of columns, all at once, in a copy that takes the table's place.

    check: raises if somebody else may write by now.
    """
    new = _beside(session, schema, table)
    session.execute(f"CREATE OR REPLACE TABLE {new} AS {session.name(schema, table)}")
    modified = ", ".join(f"MODIFY COLUMN {quote(name)} {_nullable(target)}" for name, (_, target) in changes.items())
    session.execute(f"ALTER TABLE {new} {modified}")
    stored = session.stored(schema, table)
    values = {
        name: session.dialect.convert(quote(name), *changes[name]) if name in changes else quote(name)
        for name in stored
    }
    _fill(session, schema, table, new, values, [name for name in HIDDEN if name in session.every_column(schema, table)])
    check()
    _exchange(session, schema, table, new)


def give_key(session: ClickHouseCatalog, schema: str, spec: TableSpec, check: Callable[[], None]) -> None:
    """Make a table of somebody else's anew, whose rows then replace each other by their key.

    Its columns, their defaults and comments are kept, not its indexes and settings. Raises WarehouseError if a row has
    no key, or several have one: nobody knows which of them is the right one.
    """
    place, key = session.name(schema, spec.name), spec.primary_key
    chosen = column_list(key)
    empty = " OR ".join(f"{quote(name)} IS NULL" for name in key)
    ((without, twice),) = session.sql(
        f"SELECT (SELECT count(*) FROM {place} WHERE {empty}), "
        f"(SELECT count(*) FROM (SELECT 1 FROM {place} GROUP BY {chosen} HAVING count(*) > 1))"
    )
    if without or twice:
        what = f"{without:,} rows without their key" if without else f"several rows with one key, for {twice:,} keys"
        raise WarehouseError(
            f"{schema}.{spec.name} has {what} ({', '.join(key)}), so that it can't be made a table in which rows are "
            "found by it. Remove the rows that are too many, and run it again."
        )
    new, columns = _beside(session, schema, spec.name), session.every_column(schema, spec.name)
    visible = {name: column for name, column in columns.items() if name not in HIDDEN}
    ddl = [f"{quote(name)} {_type(name, column, key)}{_default(column)}" for name, column in visible.items()]
    ddl.append(f"{quote(VERSION)} UInt64 MATERIALIZED 0")
    session.execute(
        f"CREATE OR REPLACE TABLE {new} ({', '.join(ddl)}) "
        f"ENGINE = ReplacingMergeTree({quote(VERSION)}) ORDER BY ({chosen})"
    )
    stored = session.stored(schema, spec.name)
    values = {name: f"assumeNotNull({quote(name)})" if name in key else quote(name) for name in stored}
    _fill(session, schema, spec.name, new, values, ())
    check()
    _exchange(session, schema, spec.name, new)


def allow_null(session: ClickHouseCatalog, schema: str, spec: TableSpec, names: Collection[str]) -> None:
    """Let those of some columns be NULL that can't be, and that are in no key."""
    stored = session.stored(schema, spec.name)
    changed = [
        f"MODIFY COLUMN {quote(name)} {_nullable(stored[name].native)}"
        for name in names
        if name in stored and name not in spec.primary_key and not stored[name].nullable
        and _nullable(stored[name].native) != stored[name].native
    ]  # fmt: skip
    if changed:
        session.execute(f"ALTER TABLE {session.name(schema, spec.name)} {', '.join(changed)}")
        session.changed(schema)


def _type(name: str, column: Column, key: Sequence[str]) -> str:
    return column.native if name in key or not column.nullable else _nullable(column.native)


def _default(column: Column) -> str:
    default = f" {column.kind} {column.default}" if column.kind else ""
    return default + (f" COMMENT {literal(column.comment)}" if column.comment else "")


def _beside(session: ClickHouseCatalog, schema: str, table: str) -> str:
    """Return the name of a table that is to take the place of another."""
    return session.name(schema, f"{session.prefix}{table}")


def _fill(
    session: ClickHouseCatalog, schema: str, table: str, new: str, values: Mapping[str, str], hidden: Sequence[str]
) -> None:
    names = column_list([*values, *hidden])
    chosen = ", ".join([*values.values(), *(quote(name) for name in hidden)])
    session.execute(f"INSERT INTO {new} ({names}) SELECT {chosen} FROM {session.name(schema, table)}")


def _exchange(session: ClickHouseCatalog, schema: str, table: str, new: str) -> None:
    session.execute(f"EXCHANGE TABLES {new} AND {session.name(schema, table)}")
    session.execute(f"DROP TABLE IF EXISTS {new} SYNC")
    session.changed(schema)

"""Tables that no load has mended yet: users leave them with fewer columns than are declared, and with other types.

A load begins with `ensure`, which adds columns and changes types. Whatever looks at a table before that, or at the
table of another load, looks at it through `as_declared`, and changes it only if it `is_declared`.
"""

from __future__ import annotations

from collections.abc import Mapping

from klaviyo_assets.schema.spec import SYSTEM_COLUMNS, TableSpec, Type
from klaviyo_assets.warehouse.dialect import Dialect
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.sql import quote


def with_system_columns(spec: TableSpec, *names: str) -> dict[str, Type]:
    """Return name -> type of some of a table's columns, text if they are not declared, and of the system columns."""
    return {name: spec.types.get(name, Type.TEXT) for name in names} | {
        column.name: column.type for column in SYSTEM_COLUMNS
    }


def is_declared(dialect: Dialect, existing: Mapping[str, str], types: Mapping[str, Type]) -> bool:
    """Return whether a table has columns that compare as they are declared. existing: column -> native type."""
    return all(name in existing and dialect.compares(existing[name], kind) for name, kind in types.items())


def as_declared(dialect: Dialect, source: Source, types: Mapping[str, Type]) -> str:
    """Return the relation of a table in which columns have their declared types, as `ensure` would make them.

    A column that the table lacks is NULL, and so is a value that is none of its declared type.
    """
    read, there = {}, source.types
    for name, kind in types.items():
        if name not in there:
            read[name] = f"CAST(NULL AS {dialect.type_names[kind]})"
        elif (value := dialect.read_as(quote(name), there[name], kind)) != quote(name):
            read[name] = value
    if not read:
        return source.relation
    chosen = [f"{read[name]} AS {quote(name)}" if name in read else quote(name) for name in {**there, **read}]
    return f"(SELECT {', '.join(chosen)} FROM {source.relation})"

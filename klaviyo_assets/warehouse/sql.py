"""SQL text for DuckDB: identifiers, types, conversions. No text from outside gets here unquoted."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Mapping

from klaviyo_assets.warehouse.batches import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.schema import Type

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "BOOLEAN",
    Type.BIGINT: "BIGINT",
    Type.DOUBLE: "DOUBLE",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP",
    Type.TEXT: "VARCHAR",
    Type.JSON: "JSON",
}

_TYPES_OF_NAMES: dict[str, Type] = {name: kind for kind, name in TYPE_NAMES.items()} | {
    "TINYINT": Type.BIGINT,
    "SMALLINT": Type.BIGINT,
    "INTEGER": Type.BIGINT,
    "FLOAT": Type.DOUBLE,
    "TIMESTAMP WITH TIME ZONE": Type.TIMESTAMP,
    "TIMESTAMP_S": Type.TIMESTAMP,
    "TIMESTAMP_MS": Type.TIMESTAMP,
    "TIMESTAMP_NS": Type.TIMESTAMP,
}


_UPPER, _LOWER = string.ascii_uppercase, string.ascii_lowercase
_FOLDED = str.maketrans(_UPPER, _LOWER)


def fold(name: str) -> str:
    """Return a name as DuckDB compares it with others: `Event` is `EVENT`, but `Ä` is not `ä`."""
    return name.translate(_FOLDED)


def is_named(column: str) -> str:
    """Return the condition that a column of the catalog is the name that its parameter gives, folded."""
    return f"translate({column}, '{_UPPER}', '{_LOWER}') = ?"


IN_UTC = "SET TimeZone = 'UTC'"
"""First statement of every session: without it, the time zone of the machine decides what a zoned column compares to."""


def quote(*names: str) -> str:
    """Quote the parts of a name and join them with dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Quote a string, for the places that take no parameter (file names)."""
    return "'" + text.replace("'", "''") + "'"


def columns(names: Iterable[str], relation: str | None = None) -> str:
    """Quote column names and join them with commas, each of `relation` if one is given."""
    return ", ".join(quote(relation, name) if relation else quote(name) for name in names)


def same_key(left: str, right: str, key: Iterable[str]) -> str:
    """Return the condition that two relations have the same key."""
    return " AND ".join(f"{quote(left, name)} = {quote(right, name)}" for name in key)


def type_of(name: str) -> Type:
    """Return the type of a column that exists in the database; what this project never makes counts as text."""
    return Type.DOUBLE if name.startswith("DECIMAL") else _TYPES_OF_NAMES.get(name, Type.TEXT)


def convert(expression: str, source: Type, target: Type) -> str:
    """Return `expression` converted to a wider type, without loss.

    A double that is a whole number becomes text without its `.0`: it may have come as an integer.
    """
    if source == target:
        return expression
    if target is not Type.TEXT:
        return f"CAST({expression} AS {TYPE_NAMES[target]})"
    text = f"CAST({expression} AS VARCHAR)"
    if source is Type.DOUBLE:
        return (
            f"CASE WHEN {expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE} "
            f"THEN CAST(CAST({expression} AS BIGINT) AS VARCHAR) ELSE {text} END"
        )
    if source is Type.TIMESTAMP:
        return (
            f"CASE WHEN date_part('microsecond', {expression}) % 1000000 = 0 "
            f"THEN strftime({expression}, '%Y-%m-%dT%H:%M:%S+00:00') "
            f"ELSE strftime({expression}, '%Y-%m-%dT%H:%M:%S.%f+00:00') END"
        )
    return text


def json_object(types: Mapping[str, Type]) -> str:
    """Return an expression for a JSON object of columns, without those that are NULL; NULL if all of them are.

    JSON columns are nested as they are, a TIMESTAMP is ISO text.
    """
    members = (
        f"{literal(json.dumps(name) + ':')} || "
        + (quote(name) if kind is Type.JSON else f"to_json({_jsonable(name, kind)})::VARCHAR")
        for name, kind in types.items()
    )
    return f"nullif('{{' || concat_ws(',', {', '.join(members)}) || '}}', '{{}}')"


def _jsonable(name: str, kind: Type) -> str:
    return convert(quote(name), kind, Type.TEXT) if kind is Type.TIMESTAMP else quote(name)

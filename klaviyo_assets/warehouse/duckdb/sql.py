"""SQL text for DuckDB: identifiers, types, conversions. No text from outside gets here unquoted."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "BOOLEAN",
    Type.BIGINT: "BIGINT",
    Type.DOUBLE: "DOUBLE",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP",
    Type.TEXT: "VARCHAR",
    Type.JSON: "JSON",
}

TEXT = TYPE_NAMES[Type.TEXT]
ZONED = "TIMESTAMP WITH TIME ZONE"
NANOSECONDS = "TIMESTAMP_NS"

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "HUGEINT", "BIGNUM")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_NEAREST: dict[str, Type] = (
    {name: kind for kind, name in TYPE_NAMES.items()}
    | dict.fromkeys([*_SIGNED, *_UNSIGNED], Type.BIGINT)
    | dict.fromkeys(["DECIMAL", "FLOAT"], Type.DOUBLE)
    | dict.fromkeys([ZONED, "TIMESTAMP_S", "TIMESTAMP_MS", NANOSECONDS], Type.TIMESTAMP)
    | dict.fromkeys(["STRUCT", "MAP", "UNION", "VARIANT"], Type.JSON)
)


_ARRAY = re.compile(r"\[\d+\]")
_UPPER, _LOWER = string.ascii_uppercase, string.ascii_lowercase
_FOLDED = str.maketrans(_UPPER, _LOWER)


def fold(name: str) -> str:
    """Return a name as DuckDB compares it with others: `Event` is `EVENT`, but `Ä` is not `ä`."""
    return name.translate(_FOLDED)


def is_named(column: str) -> str:
    """Return the condition that a column of the catalog is the name that its parameter gives, folded."""
    return f"translate({column}, '{_UPPER}', '{_LOWER}') = ?"


IN_UTC = "SET TimeZone = 'UTC'"
"""First statement of every session: else the machine's time zone decides what a zoned column compares to."""


def quote(*names: str) -> str:
    """Quote the parts of a name and join them with dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Quote a string, for the places that take no parameter (file names)."""
    return "'" + text.replace("'", "''") + "'"


def column_list(names: Iterable[str], relation: str | None = None) -> str:
    """Quote column names and join them with commas, each of `relation` if one is given."""
    return ", ".join(quote(relation, name) if relation else quote(name) for name in names)


def same_key(left: str, right: str, key: Iterable[str]) -> str:
    """Return the condition that two relations have the same key."""
    return " AND ".join(f"{quote(left, name)} = {quote(right, name)}" for name in key)


def type_of(native: str) -> Type:
    """Return the type of ours that comes nearest to one of DuckDB's: text, if none is near.

    native: as DESCRIBE calls it: `DECIMAL(5,2)`, `STRUCT(a INTEGER)[]`.
    """
    return Type.JSON if native.endswith("]") else _NEAREST.get(native.partition("(")[0], Type.TEXT)


def is_ours(native: str) -> bool:
    """Return whether this project makes columns of a type of DuckDB's."""
    return native in TYPE_NAMES.values()


def has_array(native: str) -> bool:
    """Return whether a type of DuckDB's is, or is made of, an array of a fixed length: `INTEGER[3]`."""
    return bool(_ARRAY.search(native))


def convert(expression: str, source: str, target: str) -> str:
    """Return `expression` converted from one of DuckDB's types to another that holds its values: see `survives`.

    A double that is a whole number becomes text without its `.0`: it may have come as an integer.
    """
    if source == target:
        return expression
    kind = type_of(source)
    if kind is Type.JSON and source != TYPE_NAMES[Type.JSON]:
        return f"to_json({expression})" if target != TEXT else f"CAST(to_json({expression}) AS VARCHAR)"
    if kind is Type.JSON and target != TEXT:
        return f"CAST(CAST({expression} AS JSON) AS {target})"
    if target != TEXT:
        return f"CAST({expression} AS {target})"
    text = f"CAST({expression} AS VARCHAR)"
    if source in (TYPE_NAMES[Type.DOUBLE], "FLOAT"):
        return (
            f"CASE WHEN {expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE} "
            f"THEN CAST(CAST({expression} AS BIGINT) AS VARCHAR) ELSE {text} END"
        )
    if source == NANOSECONDS:
        return f"replace({text}, ' ', 'T') || '+00:00'"
    if kind is Type.TIMESTAMP:
        if source != ZONED:
            expression = f"CAST({expression} AS TIMESTAMP)"
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
    return convert(quote(name), TYPE_NAMES[kind], TEXT) if kind is Type.TIMESTAMP else quote(name)

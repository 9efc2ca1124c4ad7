"""Which values a type of DuckDB's holds exactly: neither rounded nor cut, and still what they were.

DuckDB casts 12.345 to a DECIMAL(5,2) and a time to whole seconds without a word. So a value counts as held only if
it comes back the same, and only by a type of its own kind: a column of numbers does not hold the text `5`.
"""

from __future__ import annotations

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER
from klaviyo_assets.warehouse.local.sql import NANOSECONDS, TEXT, TYPE_NAMES, ZONED, has_array, type_of

_NUMBERS = {Type.BIGINT, Type.DOUBLE}
_RELATED = {(Type.DATE, Type.TIMESTAMP), (Type.BIGINT, Type.BOOLEAN)}
_OF_NANOSECONDS = "TIMESTAMP '1677-09-22' AND TIMESTAMP '2262-04-11'"


def survives(expression: str, source: str, target: str) -> str:
    """Return the condition that a value keeps everything when it is converted to another type, NULL included.

    source, target: types of DuckDB's. `ALWAYS` and `NEVER` need no look at the values.
    """
    if source == target or target == TEXT:
        return ALWAYS
    left, right = type_of(source), type_of(target)
    if left is not right and not {left, right} <= _NUMBERS and (left, right) not in _RELATED:
        return NEVER
    if target == "BLOB" or (left is Type.JSON and has_array(target)):
        return NEVER  # bytes are no text; DuckDB fails to cast JSON to arrays of a fixed length
    if (source, target) == (TYPE_NAMES[Type.TIMESTAMP], ZONED):
        return ALWAYS
    if left is Type.JSON and source == TYPE_NAMES[Type.JSON]:
        there = f"TRY_CAST(CAST({expression} AS JSON) AS {target})"
        same = f"CAST(to_json({there}) AS VARCHAR) IS NOT DISTINCT FROM CAST(json({expression}) AS VARCHAR)"
        return f"({expression} IS NULL OR {same})"
    there = f"to_json({expression})" if left is Type.JSON else f"TRY_CAST({expression} AS {target})"
    if target == NANOSECONDS:  # DuckDB 1 fails instead
        there = f"CASE WHEN {expression} BETWEEN {_OF_NANOSECONDS} THEN {there} END"
    same = f"TRY_CAST({there} AS {source}) IS NOT DISTINCT FROM {expression}"
    if left is Type.BIGINT and right is Type.DOUBLE:
        same += f" AND coalesce(abs(CAST({expression} AS DOUBLE)) <= {EXACT_IN_DOUBLE}, true)"
    return f"({same})"


def says(text: str, target: str) -> str:
    """Return the condition that a text says exactly what DuckDB casts it to, or is NULL."""
    value = f"TRY_CAST({text} AS {target})"
    same = f"{value} IS NOT NULL"
    if target == TYPE_NAMES[Type.TIMESTAMP]:  # DuckDB leaves out the zone, and decimals
        same = f"coalesce({value} = TRY_CAST({text} AS {ZONED}), false) AND NOT regexp_matches({text}, '[.][0-9]{{7}}')"
    return f"({text} IS NULL OR ({same}))"

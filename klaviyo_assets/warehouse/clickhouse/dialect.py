"""ClickHouse's SQL text.

A native type is called as `system.columns` calls it, without `Nullable`: a column that is none of a key may be NULL.

https://clickhouse.com/docs/sql-reference/data-types
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.clickhouse.text import TIMESTAMP
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER, Capabilities, Dialect
from klaviyo_assets.warehouse.patterns import EXACT_TIME, FALSE, NO_YEAR, PATTERNS, TRUE
from klaviyo_assets.warehouse.sql import literal, quote

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "Bool",
    Type.BIGINT: "Int64",
    Type.DOUBLE: "Float64",
    Type.DATE: "Date32",
    Type.TIMESTAMP: TIMESTAMP,
    Type.JSON: "String",
    Type.TEXT: "String",
}
"""JSON is text: ClickHouse's own type of that name keeps neither its spaces nor NULL, and reads a dot as a path."""

_WHOLE = re.compile(r"U?Int(8|16|32|64|128|256)$")
_DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)$")
_MOMENT = re.compile(r"DateTime(?:64\((\d)(?:, '([^']*)')?\)|(?:\('([^']*)'\))?)$")
_TEXTS = ("String", "FixedString", "LowCardinality", "Enum8", "Enum16")
_MICROSECONDS = 6
_DIGITS = 38


class ClickHouseDialect(Dialect):
    """Names may have any length. Rows are counted as FINAL sees them, which looks at their keys."""

    capabilities = Capabilities(transactional_ddl=False, transactions=False)
    type_names = TYPE_NAMES

    def fold(self, name: str) -> str:
        """Return a name as ClickHouse compares it with others: as it is."""
        return name

    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""
        if _WHOLE.match(native):
            return Type.BIGINT
        if native.startswith(("Float", "Decimal", "BFloat")):
            return Type.DOUBLE
        if _MOMENT.match(native):
            return Type.TIMESTAMP
        if native.startswith(("Array", "Map", "Tuple", "JSON", "Nested", "Variant", "Dynamic", "Object")):
            return Type.JSON
        return {"Bool": Type.BOOLEAN, "Date": Type.DATE, "Date32": Type.DATE}.get(native, Type.TEXT)

    def local_type(self, native: str) -> str | None:
        """Return DuckDB's name of a type whose values are those of a native type; None if it has no such type."""
        if found := _WHOLE.match(native):
            return _LOCAL_WHOLE.get(native) if int(found[1]) <= 64 else None
        if (found := _DECIMAL.match(native)) and int(found[1]) <= _DIGITS:
            return f"DECIMAL({found[1]},{found[2]})"
        if native in (TIMESTAMP, "DateTime64(6)"):
            return "TIMESTAMP"
        return _LOCAL.get(native)

    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values.

        The texts are those that the local engine makes: of a time in ISO 8601, of a double without a needless `.0`.
        """
        if source == target:
            return expression
        kind = self.type_of(source)
        if target != self.text:
            return f"CAST({expression} AS {target})"
        if kind is Type.TIMESTAMP:
            return _iso(expression)
        if kind is Type.JSON:
            return f"toJSONString({expression})"
        if source == "Float64":
            text = f"toString({expression})"
            # As many digits as needed, and all of those before the point.
            whole = f"{expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE}"
            return f"CASE WHEN {whole} THEN toString(CAST({expression} AS Int64)) ELSE {text} END"
        return f"CAST({expression} AS {target})"

    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included."""
        if target in (source, self.text):
            return ALWAYS
        kinds = (self.type_of(source), self.type_of(target))
        numbers = {Type.BIGINT, Type.DOUBLE}
        if set(kinds) <= numbers or (kinds[0] is Type.BIGINT and target == "Bool"):
            condition = f"accurateCastOrNull({expression}, {literal(target)}) = {expression}"
            if kinds[0] is Type.BIGINT and target == "Float64":
                condition = f"{expression} BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"
            elif kinds[0] is Type.BIGINT and target == "Bool":
                condition = f"{expression} IN (0, 1)"
            elif kinds[0] is Type.DOUBLE and kinds[1] is Type.BIGINT:
                condition = f"({condition} AND abs({expression}) <= {EXACT_IN_DOUBLE})"
            return f"coalesce({condition}, {expression} IS NULL)"
        if source in _TEXTS and kinds[1] in (Type.BOOLEAN, Type.TIMESTAMP) and self.is_ours(target):
            return self.says(expression, target)
        if kinds[1] is Type.TIMESTAMP and kinds[0] in (Type.DATE, Type.TIMESTAMP) and target == TIMESTAMP:
            return ALWAYS if _fraction(source) <= _MICROSECONDS else NEVER
        if kinds == (Type.TIMESTAMP, Type.TIMESTAMP) or (kinds[1] is Type.DATE and kinds[0] is Type.DATE):
            same = f"CAST(accurateCastOrNull({expression}, {literal(target)}) AS {source}) = {expression}"
            return f"coalesce({same}, {expression} IS NULL)"
        if source == "String" and target.startswith(("LowCardinality(String", "FixedString", "Enum")):
            return ALWAYS if target.startswith("LowCardinality(String") else NEVER
        return NEVER

    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""
        kind = self.type_of(target)
        if kind is Type.TEXT:
            return ALWAYS
        if kind is Type.BOOLEAN:
            condition = f"lower({text}) IN {TRUE} OR lower({text}) IN {FALSE}"
        elif kind is Type.TIMESTAMP:
            condition = f"match({text}, {literal(EXACT_TIME)}) AND {text} NOT LIKE '{NO_YEAR}'"
        else:
            condition = f"match({text}, {literal(PATTERNS[kind])})" if kind in PATTERNS else NEVER
        return f"coalesce({condition}, true)"

    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""
        return native == TYPE_NAMES[declared] or (declared is Type.TEXT and native == "LowCardinality(String)")

    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it."""
        kind, target = self.type_of(native), TYPE_NAMES[declared]
        if native == target:
            return expression
        if declared in (Type.TEXT, Type.JSON):
            return self.convert(expression, native, target)
        if declared is Type.TIMESTAMP and kind in (Type.DATE, Type.TIMESTAMP):
            return f"CAST({expression} AS {target})"
        text = self.convert(expression, native, self.text)
        if declared is Type.BOOLEAN:
            return f"CASE WHEN lower({text}) IN {TRUE} THEN true WHEN lower({text}) IN {FALSE} THEN false END"
        is_one = f"match({text}, {literal(PATTERNS[declared])})"
        if declared in (Type.DATE, Type.TIMESTAMP):
            is_one += f" AND {text} NOT LIKE '{NO_YEAR}'"
        if declared is Type.TIMESTAMP:
            read = f"parseDateTime64BestEffortOrNull({text}, 6, 'UTC')"
        elif declared is Type.DATE:
            read = f"toDate32OrNull({text})"
        else:
            read = f"accurateCastOrNull(trimBoth({text}), {literal(target)})"
        return f"CASE WHEN {is_one} THEN {read} END"

    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""
        texts = [f"CAST({quote(name)} AS String)" for name in names]
        return texts[0] if len(texts) == 1 else f"toJSONString([{', '.join(texts)}])"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""
        return f"match({text}, {literal(f'^({pattern})$')})"

    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column."""
        keys = f"arrayJoin(JSONExtractKeys(assumeNotNull({column})))"
        return f"SELECT DISTINCT {keys} FROM {relation} WHERE {column} IS NOT NULL"

    def md5(self, text: str) -> str:
        """Return the expression of the MD5 of a text, in lower case."""
        return f"lower(hex(MD5({text})))"

    def looked_up(self, relation: str, key: str, value: str, moment: str) -> str:
        """Return the expression of the highest `value` in a relation whose `key` is a moment; NULL if there is none.

        Both are read once: in a join, ClickHouse can't ask again for each row.
        """
        known = f"FROM {relation} WHERE {key} IS NOT NULL GROUP BY {key} ORDER BY {key}"
        rows = f"SELECT {key}, max({value}) AS {value} {known}"
        keys = f"(SELECT groupArray(toUnixTimestamp64Micro({key})) FROM ({rows}))"
        values = f"(SELECT groupArray(assumeNotNull({value})) FROM ({rows}))"
        return f"transform(toUnixTimestamp64Micro({moment}), {keys}, {values}, CAST(NULL AS {TIMESTAMP}))"

    def monday(self, day: str) -> str:
        """Return the expression of the Monday of a day's week: functions of weeks give a Date, which begins in 1970."""
        return f"subtractDays({day}, toDayOfWeek({day}) - 1)"

    def later(self, moment: str, microseconds: str) -> str:
        """Return the expression of a moment so many microseconds later."""
        return f"addMicroseconds({moment}, {microseconds})"


_LOCAL_WHOLE = {
    "Int8": "TINYINT",
    "Int16": "SMALLINT",
    "Int32": "INTEGER",
    "Int64": "BIGINT",
    "UInt8": "UTINYINT",
    "UInt16": "USMALLINT",
    "UInt32": "UINTEGER",
    "UInt64": "UBIGINT",
}
_LOCAL = {
    "Bool": "BOOLEAN",
    "Float32": "FLOAT",
    "Float64": "DOUBLE",
    "Date32": "DATE",
    "String": "VARCHAR",
    "LowCardinality(String)": "VARCHAR",
}


def _fraction(native: str) -> int:
    """Return the digits of the fraction of a second that a type of times has."""
    found = _MOMENT.match(native)
    return int(found[1] or 0) if found else 0


def _iso(expression: str) -> str:
    moment = f"CAST({expression} AS {TIMESTAMP})"
    whole = f"toUnixTimestamp64Micro({moment}) % 1000000 = 0"
    seconds = f"formatDateTime({moment}, '%Y-%m-%dT%H:%i:%S', 'UTC')"
    return (
        f"CASE WHEN {whole} THEN concat({seconds}, '+00:00') "
        f"ELSE concat(formatDateTime({moment}, '%Y-%m-%dT%H:%i:%S.%f', 'UTC'), '+00:00') END"
    )

"""Postgres' SQL text.

A native type is called as `format_type` calls it: `timestamp with time zone`, `numeric(10,2)`. Postgres has no
TRY_CAST: where a text may be none of a type, a pattern looks at it before it is cast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER, Capabilities, Dialect
from klaviyo_assets.warehouse.patterns import EXACT_TIME, FALSE, NO_YEAR, PATTERNS, TRUE
from klaviyo_assets.warehouse.sql import literal, quote

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "boolean",
    Type.BIGINT: "bigint",
    Type.DOUBLE: "double precision",
    Type.DATE: "date",
    Type.TIMESTAMP: "timestamp with time zone",
    Type.TEXT: "text",
    # Not jsonb: that refuses `\u0000`, lone surrogates and numbers beyond numeric's, forgets in which order and how
    # often names came, and takes two to four times as long to write. Whoever searches in it may index `column::jsonb`.
    Type.JSON: "json",
}

_WITHOUT_ZONE = "timestamp without time zone"
_ZONED = TYPE_NAMES[Type.TIMESTAMP]
_NEAREST: dict[str, Type] = (
    {name: kind for kind, name in TYPE_NAMES.items()}
    | dict.fromkeys(["smallint", "integer"], Type.BIGINT)
    | dict.fromkeys(["numeric", "real"], Type.DOUBLE)
    | {_WITHOUT_ZONE: Type.TIMESTAMP, "jsonb": Type.JSON}
)
_LOCAL = {
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "date": "DATE",
    _ZONED: "TIMESTAMP",
    _WITHOUT_ZONE: "TIMESTAMP",
    "time without time zone": "TIME",
    "time with time zone": "TIME WITH TIME ZONE",
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "json": "JSON",
    "jsonb": "JSON",
    "uuid": "UUID",
    "numeric": "DECIMAL(38,10)",  # without a precision it holds more, which nobody has to prove
}
_RANGES = {"smallint": "-32768 AND 32767", "integer": "-2147483648 AND 2147483647"}
_OF_PRECISION = {0: "TIMESTAMP_S", 3: "TIMESTAMP_MS", 6: "TIMESTAMP"}
_MODIFIER = re.compile(r"\((\d+)(?:,(\d+))?\)")


class PostgresDialect(Dialect):
    """Names are what they are, capitals included: all of them are quoted."""

    capabilities = Capabilities(longest_name=63, most_columns=1600, sure_to_fit=300)
    type_names = TYPE_NAMES

    def fold(self, name: str) -> str:
        """Return a name as Postgres compares it with others: as it is."""
        return name

    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""
        return Type.JSON if native.endswith("[]") else _NEAREST.get(_MODIFIER.sub("", native), Type.TEXT)

    def local_type(self, native: str) -> str | None:
        """Return DuckDB's name of a type whose values are those of a native type; None if it has no such type.

        The length of a `varchar(20)` and what `jsonb` refuses are checked by the session.
        """
        base, modifier = _MODIFIER.sub("", native), _MODIFIER.search(native)
        if modifier is None or base == "character varying":
            return _LOCAL.get(base)
        first, second = int(modifier[1]), int(modifier[2] or 0)
        if base == "numeric":
            return f"DECIMAL({first},{second})" if first <= 38 and second <= first else None
        return _OF_PRECISION.get(first) if base in (_ZONED, _WITHOUT_ZONE) else None

    def longest_text(self, native: str) -> int | None:
        """Return how many characters a native type holds at most, None if any number."""
        modifier = _MODIFIER.search(native)
        return int(modifier[1]) if modifier and native.startswith("character varying") else None

    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values.

        The texts are those that the local engine makes: of a time in ISO 8601, of a double without a needless `.0`.
        """
        if source == target:
            return expression
        kind = self.type_of(source)
        if kind is Type.JSON and source not in ("json", "jsonb"):
            expression = f"to_json({expression})"
        if target == "boolean" and kind in (Type.BIGINT, Type.DOUBLE):
            return f"({expression} <> 0)"
        if target != self.text:
            return f"CAST({expression} AS {target})"
        text = f"CAST({expression} AS text)"
        if source in ("double precision", "real"):
            return (
                f"CASE WHEN {expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE} "
                f"THEN CAST(CAST({expression} AS bigint) AS text) ELSE {text} END"
            )
        if kind is Type.TIMESTAMP:
            utc = f"CAST({expression} AS timestamp)"  # the session is in UTC
            return (
                f"to_char({utc}, CASE WHEN {utc} = date_trunc('second', {utc}) "
                """THEN 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"' END)"""
            )
        return text

    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included."""
        if target in (source, self.text, "character varying"):
            return ALWAYS
        left, right = _MODIFIER.sub("", source), _MODIFIER.sub("", target)
        if right != target:
            return self._survives_narrow(expression, left, target)
        condition = None
        if left in (self.text, "character varying") and self.type_of(right) in (Type.BOOLEAN, Type.TIMESTAMP):
            return self.says(expression, target)
        if right in _RANGES and self.type_of(left) is Type.BIGINT:
            return ALWAYS if left == "smallint" else f"coalesce({expression} BETWEEN {_RANGES[right]}, true)"
        if right == "bigint":
            if left in ("smallint", "integer"):
                return ALWAYS
            if left in ("numeric", "real", "double precision"):
                condition = (
                    f"{expression} = trunc({expression}) AND {expression} >= -9223372036854775808 "
                    f"AND {expression} < 9223372036854775808"
                )
        elif right == "double precision":
            if left in ("smallint", "integer", "real"):
                return ALWAYS
            if left == "bigint":
                condition = f"{expression} BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"
            elif left == "numeric":  # by way of a text: else Postgres rounds to 15 digits
                there = f"CAST(CAST(CAST({expression} AS double precision) AS text) AS numeric)"
                condition = f"CASE WHEN abs({expression}) >= 1e308 THEN false ELSE {there} = {expression} END"
        elif right == "boolean":
            if self.type_of(left) in (Type.BIGINT, Type.DOUBLE):
                condition = f"{expression} IN (0, 1)"
        elif right in (_ZONED, _WITHOUT_ZONE):
            if left in (_ZONED, _WITHOUT_ZONE, "date"):
                return ALWAYS
        elif right == "json" and self.type_of(left) is Type.JSON:
            return ALWAYS
        return f"coalesce({condition}, true)" if condition else NEVER

    def _survives_narrow(self, expression: str, left: str, target: str) -> str:
        """Return the condition for a type with a length or a precision."""
        base, modifier = _MODIFIER.sub("", target), _MODIFIER.search(target)
        assert modifier  # noqa: S101
        length, scale = int(modifier[1]), int(modifier[2] or 0)
        condition = None
        if base == "character varying" and left in (self.text, base):
            condition = f"length({expression}) <= {length}"
        elif base == "numeric" and left in ("smallint", "integer", "bigint", "numeric"):
            condition = (
                f"abs({expression}) < {10 ** max(0, length - scale)} AND round({expression}, {scale}) = {expression}"
            )
        elif base in (_ZONED, _WITHOUT_ZONE) and left in (_ZONED, _WITHOUT_ZONE):
            if length == 6:
                return ALWAYS
            part = {0: "second", 3: "milliseconds"}.get(length)
            condition = f"date_trunc('{part}', {expression}) = {expression}" if part else None
        return f"coalesce({condition}, true)" if condition else NEVER

    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""
        kind = self.type_of(target)
        if kind is Type.TEXT:
            return ALWAYS
        if kind is Type.BOOLEAN:
            condition = f"lower({text}) IN {TRUE} OR lower({text}) IN {FALSE}"
        elif kind is Type.TIMESTAMP:
            condition = f"{text} ~ {literal(EXACT_TIME)} AND {text} NOT LIKE '{NO_YEAR}'"
        else:
            condition = f"{text} ~ {literal(PATTERNS[kind])}" if kind in PATTERNS else NEVER
        return f"coalesce({condition}, true)"

    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""
        others = {Type.TIMESTAMP: _WITHOUT_ZONE, Type.TEXT: "character varying"}
        return native in (TYPE_NAMES[declared], others.get(declared))

    def compares(self, native: str, declared: Type) -> bool:
        """Return whether a native type compares with all values of a declared type: a `varchar(20)` does."""
        is_text = declared is Type.TEXT and native.startswith("character varying")
        return is_text or self.holds_all(native, declared)

    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it."""
        kind, target = self.type_of(native), TYPE_NAMES[declared]
        if native == target or (declared is Type.TIMESTAMP and kind is declared):
            return expression
        if declared is Type.TEXT or (declared is Type.JSON and kind is declared):
            return self.convert(expression, native, target)
        if declared is Type.TIMESTAMP and kind is Type.DATE:
            return f"CAST({expression} AS {target})"
        text = f"CAST({expression} AS text)"
        if declared is Type.BOOLEAN:
            return f"CASE WHEN lower({text}) IN {TRUE} THEN true WHEN lower({text}) IN {FALSE} THEN false END"
        if declared not in PATTERNS:
            return f"CAST(NULL AS {target})"
        is_one = f"{text} ~ {literal(PATTERNS[declared])}"
        if declared in (Type.DATE, Type.TIMESTAMP):
            is_one += f" AND {text} NOT LIKE '{NO_YEAR}'"
        return f"CASE WHEN {is_one} THEN CAST({text} AS {target}) END"

    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""
        texts = [f"CAST({quote(name)} AS text)" for name in names]
        return texts[0] if len(texts) == 1 else f"CAST(json_build_array({', '.join(texts)}) AS text)"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""
        return f"({text} ~ {literal(f'^(?:{pattern})$')})"

    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column.

        Postgres fails to read what `json` takes: escapes of NUL and of halves of surrogate pairs.
        """
        escape, readable = r"\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})", r"\\uFFFD"
        text = f"regexp_replace(CAST({column} AS text), {literal(escape)}, {literal(readable)}, 'g')"
        return f"SELECT DISTINCT json_object_keys(CAST({text} AS json)) FROM {relation}"

"""BigQuery's SQL text.

A native type is called as `types.native` calls it: `INT64`, `STRING(20)`, `NUMERIC(5,2)`. What this project writes goes
through `text.written`, so that names have double quotes here, too.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.bigquery.text import fold
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER, Capabilities, Dialect
from klaviyo_assets.warehouse.patterns import EXACT_TIME, FALSE, NO_YEAR, PATTERNS, TRUE
from klaviyo_assets.warehouse.sql import literal, quote

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "BOOL",
    Type.BIGINT: "INT64",
    Type.DOUBLE: "FLOAT64",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP",
    Type.TEXT: "STRING",
    Type.JSON: "JSON",
}

_NEAREST: dict[str, Type] = (
    {name: kind for kind, name in TYPE_NAMES.items()}
    | dict.fromkeys(["NUMERIC", "BIGNUMERIC"], Type.DOUBLE)
    | {"DATETIME": Type.TIMESTAMP}
)
_LOCAL = {
    "BOOL": "BOOLEAN",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "STRING": "VARCHAR",
    "JSON": "JSON",
}
_MODIFIER = re.compile(r"\((\d+)(?:,(\d+))?\)$")
_DIGITS = {"NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}
_LOCAL_DIGITS = 38
_INTEGERS = 9_223_372_036_854_775_807


class BigQueryDialect(Dialect):
    """A longer name than 300 characters is refused. Counting the rows of a table reads none of them.

    https://cloud.google.com/bigquery/quotas#standard_tables
    """

    capabilities = Capabilities(longest_name=300, most_columns=10_000, counts_at_once=True, transactional_ddl=False)
    type_names = TYPE_NAMES

    def fold(self, name: str) -> str:
        """Return a name as BigQuery compares it with others, if it is a column's."""
        return fold(name)

    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""
        if native.startswith(("ARRAY<", "STRUCT<")):
            return Type.JSON
        base, digits = parts(native)
        if base in _DIGITS and digits and not digits[1]:
            return Type.BIGINT
        return _NEAREST.get(base, Type.TEXT)

    def local_type(self, native: str) -> str | None:
        """Return DuckDB's name of a type whose values are those of a native type; None if it has no such type.

        The length of a `STRING(20)` is checked by the session.
        """
        base, digits = parts(native)
        if base in _DIGITS:
            length, scale = digits or _DIGITS[base]
            return f"DECIMAL({length},{scale})" if length <= _LOCAL_DIGITS else None
        return _LOCAL.get(base)

    def longest_text(self, native: str) -> int | None:
        """Return how many characters a native type holds at most, None if any number."""
        base, digits = parts(native)
        return digits[0] if base == "STRING" and digits else None

    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values.

        The texts are those that the local engine makes: of a time in ISO 8601, of a double without a needless `.0`.
        """
        if source == target:
            return expression
        kind = self.type_of(source)
        if kind is Type.JSON and source != "JSON":
            return f"TO_JSON({expression})" if target == "JSON" else f"TO_JSON_STRING({expression})"
        if target == "BOOL" and kind in (Type.BIGINT, Type.DOUBLE):
            return f"({expression} <> 0)"
        if parts(target)[0] != self.text:
            return f"CAST({expression} AS {target})"
        if kind is Type.JSON:  # a text in it is what could not be parsed
            return f"coalesce(SAFE.STRING({expression}), TO_JSON_STRING({expression}))"
        if source == "BYTES":
            return f"TO_BASE64({expression})"
        if kind is Type.TIMESTAMP:
            moment = expression if source == "TIMESTAMP" else f"CAST({expression} AS TIMESTAMP)"
            whole, exact = (
                f"FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%{seconds}+00:00', {moment}, 'UTC')" for seconds in ("S", "E6S")
            )
            return f"CASE WHEN TIMESTAMP_TRUNC({moment}, SECOND) = {moment} THEN {whole} ELSE {exact} END"
        as_text = f"CAST({expression} AS STRING)"
        if source != "FLOAT64":
            return as_text
        return (
            f"CASE WHEN {expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE} "
            f"THEN CAST(CAST({expression} AS INT64) AS STRING) ELSE {as_text} END"
        )

    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included."""
        if target in (source, self.text):
            return ALWAYS
        (left, old), (right, digits) = parts(source), parts(target)
        kinds, condition = (self.type_of(source), self.type_of(target)), None
        if left == right == "STRING" and digits:
            condition = f"length({expression}) <= {digits[0]}"
        elif left == "STRING":
            return self.says(expression, target) if kinds[1] in (Type.BOOLEAN, Type.TIMESTAMP) else NEVER
        elif right in _DIGITS and (left == "INT64" or left in _DIGITS):
            length, scale = digits or _DIGITS[right]
            before = (19, 0) if left == "INT64" else old or _DIGITS[left]
            if before[0] - before[1] <= length - scale and before[1] <= scale:
                return ALWAYS
            condition = (
                f"abs(CAST({expression} AS BIGNUMERIC)) < {10 ** min(length - scale, 38)} "
                f"AND round(CAST({expression} AS BIGNUMERIC), {scale}) = CAST({expression} AS BIGNUMERIC)"
            )
        elif right == "INT64" and left in ("FLOAT64", *_DIGITS):
            condition = f"{expression} = trunc({expression}) AND abs({expression}) < {_INTEGERS}"
        elif right == "FLOAT64" and left == "INT64":
            condition = f"{expression} BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"
        elif right == "FLOAT64" and left in _DIGITS:
            condition = f"SAFE_CAST(CAST(CAST({expression} AS FLOAT64) AS STRING) AS {left}) = {expression}"
        elif right == "BOOL" and kinds[0] in (Type.BIGINT, Type.DOUBLE):
            condition = f"{expression} IN (0, 1)"
        elif (right in ("TIMESTAMP", "DATETIME") and left in ("TIMESTAMP", "DATETIME", "DATE")) or (
            right == "JSON" and kinds[0] is Type.JSON
        ):
            return ALWAYS
        return f"coalesce({condition}, true)" if condition else NEVER

    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""
        kind = self.type_of(target)
        if kind is Type.TEXT:
            return ALWAYS
        if kind is Type.BOOLEAN:
            condition = f"lower({text}) IN {TRUE} OR lower({text}) IN {FALSE}"
        elif kind is Type.TIMESTAMP:
            return f"({text} IS NULL OR {_like(text, EXACT_TIME)} AND SAFE_CAST({text} AS {target}) IS NOT NULL)"
        else:
            condition = _like(text, PATTERNS[kind]) if kind in PATTERNS else NEVER
        return f"coalesce({condition}, true)"

    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""
        return native == TYPE_NAMES[declared]

    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it."""
        kind, target = self.type_of(native), TYPE_NAMES[declared]
        if native == target:
            return expression
        if declared is Type.TEXT or (declared is Type.JSON and kind is declared):
            return self.convert(expression, native, target)
        if declared is Type.TIMESTAMP and (kind is declared or kind is Type.DATE):
            return f"CAST({expression} AS {target})"
        text = self.convert(expression, native, self.text)
        if declared is Type.BOOLEAN:
            return f"CASE WHEN lower({text}) IN {TRUE} THEN true WHEN lower({text}) IN {FALSE} THEN false END"
        if declared not in PATTERNS:
            return f"CAST(NULL AS {target})"
        is_one = _like(text, PATTERNS[declared])
        if declared in (Type.DATE, Type.TIMESTAMP):
            is_one += f" AND {text} NOT LIKE '{NO_YEAR}'"
        return f"CASE WHEN {is_one} THEN SAFE_CAST({text} AS {target}) END"

    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""
        texts = [f"CAST({quote(name)} AS STRING)" for name in names]
        return texts[0] if len(texts) == 1 else f"TO_JSON_STRING([{', '.join(texts)}])"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""
        return _like(text, f"^(?:{pattern})$")

    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column."""
        return f"SELECT DISTINCT entry FROM {relation} AS own, UNNEST(JSON_KEYS(own.{column}, 1)) AS entry"

    def md5(self, text: str) -> str:
        """Return the expression of the MD5 of a text, in lower case."""
        return f"TO_HEX(MD5({text}))"

    def as_text(self, expression: str, native: str) -> str:
        """Return an expression of a native type as a text, which `from_text` reads."""
        return self.convert(expression, native, self.text)

    def from_text(self, text: str, native: str) -> str:
        """Return the expression of a text that is a value of a native type."""
        return self.parsed(text) if native == "JSON" else f"CAST({text} AS {native})"

    def monday(self, day: str) -> str:
        """Return the expression of the Monday of a day's week."""
        return f"DATE_SUB({day}, INTERVAL MOD(EXTRACT(DAYOFWEEK FROM {day}) + 5, 7) DAY)"

    def later(self, moment: str, microseconds: str) -> str:
        """Return the expression of a moment so many microseconds later."""
        return f"TIMESTAMP_ADD({moment}, INTERVAL {microseconds} MICROSECOND)"

    def parsed(self, text: str) -> str:
        """Return the expression of the JSON that a text is; what BigQuery can't parse stays a text in it.

        Numbers that are too long for a double are rounded: else they would not be parsed.
        """
        return f"coalesce(SAFE.PARSE_JSON({text}, wide_number_mode => 'round'), TO_JSON({text}))"


def alters(source: str, target: str) -> bool:
    """Return whether ALTER TABLE changes a column from one native type to another.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_column_set_data_type_statement
    """
    (left, old), (right, new) = parts(source), parts(target)
    if left == right == "STRING":
        return new is None or (old is not None and new[0] >= old[0])
    return new is None and (left, right) in _ALTERED


_ALTERED = {
    ("INT64", "NUMERIC"),
    ("INT64", "BIGNUMERIC"),
    ("INT64", "FLOAT64"),
    ("NUMERIC", "NUMERIC"),
    ("NUMERIC", "BIGNUMERIC"),
    ("NUMERIC", "FLOAT64"),
}


def parts(native: str) -> tuple[str, tuple[int, int] | None]:
    """Return the name of a type, and the numbers in brackets."""
    found = _MODIFIER.search(native)
    return native[: found.start()] if found else native, (int(found[1]), int(found[2] or 0)) if found else None


def _like(text: str, pattern: str) -> str:
    return f"REGEXP_CONTAINS({text}, {literal(pattern)})"

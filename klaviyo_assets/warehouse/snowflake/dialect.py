"""Snowflake's SQL text.

A native type is called as `types.native` calls it: `NUMBER(38,0)`, `VARCHAR`, `TIMESTAMP_NTZ(3)`. Names are stored in
upper case, so that they need no quotes: a session swaps the case of all quoted ones (see `text`).

https://docs.snowflake.com/en/sql-reference/intro-summary-data-types
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER, Capabilities, Dialect
from klaviyo_assets.warehouse.patterns import EXACT_TIME, FALSE, NO_YEAR, PATTERNS, TRUE
from klaviyo_assets.warehouse.snowflake.text import fold
from klaviyo_assets.warehouse.sql import literal, quote

TYPE_NAMES: dict[Type, str] = {
    Type.BOOLEAN: "BOOLEAN",
    Type.BIGINT: "NUMBER(38,0)",
    Type.DOUBLE: "FLOAT",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP_TZ",
    Type.TEXT: "VARCHAR",
    Type.JSON: "VARIANT",
}

NESTED = ("VARIANT", "OBJECT", "ARRAY")
_TIMES = ("TIMESTAMP_TZ", "TIMESTAMP_LTZ", "TIMESTAMP_NTZ")
_MODIFIER = re.compile(r"\((\d+)(?:,(\d+))?\)")
_LOCAL = {
    "BOOLEAN": "BOOLEAN",
    "FLOAT": "DOUBLE",
    "DATE": "DATE",
    "VARCHAR": "VARCHAR",
    "VARIANT": "JSON",
    "NUMBER(38,0)": "BIGINT",
}
_OF_PRECISION = {0: "TIMESTAMP_S", 3: "TIMESTAMP_MS"}
_UNITS = {0: "second", 3: "millisecond"}
_MICROSECONDS = 6
_EXACT_DIGITS = 15
"""Decimal digits that a double holds exactly."""


class SnowflakeDialect(Dialect):
    """A longer name than 255 characters is refused. Counting the rows of a table reads none of them."""

    capabilities = Capabilities(longest_name=255, counts_at_once=True, transactional_ddl=False)
    type_names = TYPE_NAMES

    def fold(self, name: str) -> str:
        """Return a name as Snowflake compares it with others, if it has no quotes."""
        return fold(name)

    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""
        base, digits = _parts(native)
        if base == "NUMBER":
            return Type.DOUBLE if digits and digits[1] else Type.BIGINT
        if base in _TIMES:
            return Type.TIMESTAMP
        if base in NESTED:
            return Type.JSON
        return {"BOOLEAN": Type.BOOLEAN, "FLOAT": Type.DOUBLE, "DATE": Type.DATE}.get(base, Type.TEXT)

    def local_type(self, native: str) -> str | None:
        """Return DuckDB's name of a type whose values are those of a native type; None if it has no such type.

        The length of a `VARCHAR(20)` is checked by the session.
        """
        base, digits = _parts(native)
        if native in _LOCAL:
            return _LOCAL[native]
        if base == "NUMBER" and digits:
            return f"DECIMAL({digits[0]},{digits[1]})"
        if base in _TIMES:
            return "TIMESTAMP" if _microseconds(native) else _OF_PRECISION.get(digits[0] if digits else _MICROSECONDS)
        return "VARCHAR" if base == "VARCHAR" else None

    def longest_text(self, native: str) -> int | None:
        """Return how many characters a native type holds at most, None if any number."""
        base, digits = _parts(native)
        return digits[0] if base == "VARCHAR" and digits else None

    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values.

        The texts are those that the local engine makes: of a time in ISO 8601, of a double without a needless `.0`.
        """
        if source == target:
            return expression
        kind = self.type_of(source)
        if target == "BOOLEAN" and kind in (Type.BIGINT, Type.DOUBLE):
            return f"({expression} <> 0)"
        if target == "VARIANT":
            return f"to_variant({expression})"
        if _parts(target)[0] != self.text:
            return f"CAST({expression} AS {target})"
        if kind is Type.JSON:  # a text in it is what could not be parsed
            return f"CASE WHEN typeof({expression}) = 'VARCHAR' THEN CAST({expression} AS {target}) ELSE to_json({expression}) END"  # noqa: E501
        if kind is Type.TIMESTAMP:
            return _iso(expression, target)
        text = f"CAST({expression} AS {target})"
        if source != "FLOAT":
            return text
        return (
            f"CASE WHEN {expression} = trunc({expression}) AND abs({expression}) <= {EXACT_IN_DOUBLE} "
            f"THEN CAST(CAST({expression} AS NUMBER(38,0)) AS VARCHAR) "
            f"WHEN TRY_CAST({text} AS FLOAT) = {expression} THEN {text} "
            f"ELSE to_json(to_variant({expression})) END"
        )

    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included."""
        if target in (source, self.text):
            return ALWAYS
        (left, _), (right, digits) = _parts(source), _parts(target)
        kinds, condition = (self.type_of(source), self.type_of(target)), None
        if left == right == "VARCHAR" and digits:
            condition = f"length({expression}) <= {digits[0]}"
        elif left == "VARCHAR" and kinds[1] in (Type.BOOLEAN, Type.TIMESTAMP) and _microseconds(target):
            return self.says(expression, target)
        elif left == "VARCHAR":
            return NEVER
        elif right == "NUMBER":
            condition = _fits_number(expression, source, target)
        elif right == "FLOAT" and left == "NUMBER":
            condition = _fits_double(expression, source)
        elif right == "BOOLEAN" and kinds[0] in (Type.BIGINT, Type.DOUBLE):
            condition = f"{expression} IN (0, 1)"
        elif right in _TIMES and (left in _TIMES or left == "DATE"):
            if _microseconds(target) or left == "DATE":
                return ALWAYS
            unit = _UNITS.get(digits[0]) if digits else None
            condition = f"date_trunc('{unit}', {expression}) = {expression}" if unit else None
        elif target == "VARIANT" and kinds[0] is Type.JSON:
            return ALWAYS
        if condition in (None, ALWAYS):
            return condition or NEVER
        return f"coalesce({condition}, true)"

    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""
        kind = self.type_of(target)
        if kind is Type.TEXT:
            return ALWAYS
        if kind is Type.BOOLEAN:
            condition = f"lower({text}) IN {TRUE} OR lower({text}) IN {FALSE}"
        elif kind is Type.TIMESTAMP:
            condition = f"{_like(text, EXACT_TIME)} AND {text} NOT LIKE '{NO_YEAR}'"
        else:
            condition = _like(text, PATTERNS[kind]) if kind in PATTERNS else NEVER
        return f"coalesce({condition}, true)"

    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""
        return native == TYPE_NAMES[declared] or (declared is Type.TIMESTAMP and native in _TIMES)

    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it.

        Snowflake reads a text of digits as seconds since 1970, so that a pattern looks at it first.
        """
        kind, target = self.type_of(native), TYPE_NAMES[declared]
        if native == target or (declared is Type.TIMESTAMP and kind is declared):
            return expression
        if declared is Type.TEXT or (declared is Type.JSON and kind is declared):
            return self.convert(expression, native, target)
        if declared is Type.TIMESTAMP and kind is Type.DATE:
            return f"CAST({expression} AS {target})"
        text = self.convert(expression, native, self.text)
        if declared is Type.BOOLEAN:
            return f"CASE WHEN lower({text}) IN {TRUE} THEN true WHEN lower({text}) IN {FALSE} THEN false END"
        if declared not in PATTERNS:
            return f"CAST(NULL AS {target})"
        is_one = _like(text, PATTERNS[declared])
        if declared in (Type.DATE, Type.TIMESTAMP):
            is_one += f" AND {text} NOT LIKE '{NO_YEAR}'"
        return f"CASE WHEN {is_one} THEN TRY_CAST({text} AS {target}) END"

    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""
        texts = [f"CAST({quote(name)} AS VARCHAR)" for name in names]
        return texts[0] if len(texts) == 1 else f"to_json(array_construct({', '.join(texts)}))"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""
        return _like(text, f"^({pattern})$")

    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column."""
        return f"SELECT DISTINCT entry.key FROM {relation} AS own, LATERAL flatten(input => own.{column}) AS entry"

    def monday(self, day: str) -> str:
        """Return the expression of the Monday of a day's week: a parameter of the account's says when weeks begin."""
        return f"CAST(dateadd(day, 1 - dayofweekiso({day}), {day}) AS DATE)"

    def later(self, moment: str, microseconds: str) -> str:
        """Return the expression of a moment so many microseconds later: an INTERVAL can't be multiplied."""
        return f"dateadd(microsecond, {microseconds}, {moment})"

    def parsed(self, text: str) -> str:
        """Return the expression of a VARIANT of JSON; what Snowflake can't parse stays a text in it."""
        return f"coalesce(try_parse_json({text}), to_variant({text}))"


def alters(source: str, target: str) -> bool:
    """Return whether ALTER TABLE changes a column from one native type to another: to a longer one of its kind.

    https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
    """
    (left, old), (right, new) = _parts(source), _parts(target)
    if left != right:
        return False
    if left == "VARCHAR":
        return new is None or (old is not None and new[0] >= old[0])
    return left == "NUMBER" and old is not None and new is not None and new[0] >= old[0] and new[1] == old[1]


def _parts(native: str) -> tuple[str, tuple[int, int] | None]:
    """Return the name of a type, and the numbers in brackets."""
    found = _MODIFIER.search(native)
    return native.partition("(")[0], (int(found[1]), int(found[2] or 0)) if found else None


def _microseconds(native: str) -> bool:
    """Return whether a type of times holds microseconds."""
    _, digits = _parts(native)
    return digits is None or digits[0] >= _MICROSECONDS


def _fits_number(expression: str, source: str, target: str) -> str | None:
    (left, old), (_, new) = _parts(source), _parts(target)
    length, scale = new or (38, 0)
    most = min(10 ** (length - scale), 2**63)
    fits = f"abs({expression}) < {most} AND round({expression}, {scale}) = {expression}"
    if left == "NUMBER":
        before = old or (38, 0)
        return ALWAYS if before[0] - before[1] <= length - scale and before[1] <= scale else fits
    return fits if left == "FLOAT" and scale == 0 else None


def _fits_double(expression: str, source: str) -> str | None:
    _, digits = _parts(source)
    length, scale = digits or (38, 0)
    if length <= _EXACT_DIGITS:
        return ALWAYS
    return f"{expression} BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}" if scale == 0 else None


def _iso(expression: str, target: str) -> str:
    utc = f"convert_timezone('UTC', {expression})"
    day, time = f"to_char({utc}, 'YYYY-MM-DD')", f"to_char({utc}, 'HH24:MI:SS')"
    return (
        f"CAST({day} || 'T' || {time} || CASE WHEN date_trunc('second', {expression}) = {expression} THEN '' "
        f"ELSE to_char({utc}, '.FF6') END || '+00:00' AS {target})"
    )


def _like(text: str, pattern: str) -> str:
    """Return the condition that a text matches. Snowflake knows no groups that are not captured."""
    return f"regexp_like({text}, {literal(pattern.replace('(?:', '('))})"

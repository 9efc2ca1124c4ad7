"""DuckDB's SQL text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.dialect import Capabilities, Dialect
from klaviyo_assets.warehouse.local import exactness, sql
from klaviyo_assets.warehouse.local.sql import NANOSECONDS, TEXT, TYPE_NAMES, ZONED
from klaviyo_assets.warehouse.sql import literal, quote

_HOLD_ALL = {Type.TIMESTAMP: (ZONED, NANOSECONDS)}
"""Types of columns that stay as they are: they hold what the declared type does, and compare with it."""


class DuckDBDialect(Dialect):
    """A DuckDB's own types are those of the local engine."""

    capabilities = Capabilities(counts_at_once=True)
    type_names = TYPE_NAMES

    def fold(self, name: str) -> str:
        """Return a name as DuckDB compares it with others: `Event` is `EVENT`, but `Ä` is not `ä`."""
        return sql.fold(name)

    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""
        return sql.type_of(native)

    def local_type(self, native: str) -> str | None:
        """Return the native type, which is DuckDB's."""
        return native

    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values."""
        return sql.convert(expression, source, target)

    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included."""
        return exactness.survives(expression, source, target)

    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""
        return exactness.says(text, target)

    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""
        return native in (TYPE_NAMES[declared], *_HOLD_ALL.get(declared, ()))

    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it."""
        if native == TYPE_NAMES[declared] or (declared is Type.TIMESTAMP and self.type_of(native) is declared):
            return expression
        if declared is Type.TEXT:
            return self.convert(expression, native, TEXT)
        text = f"CAST({expression} AS VARCHAR)"
        if declared is Type.TIMESTAMP:  # by way of a zoned one: else DuckDB leaves out the zone
            return f"CAST(TRY_CAST({text} AS {ZONED}) AS TIMESTAMP)"
        return f"TRY_CAST({text} AS {TYPE_NAMES[declared]})"

    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""
        texts = [f"CAST({quote(name)} AS VARCHAR)" for name in names]
        return texts[0] if len(texts) == 1 else f"CAST(to_json([{', '.join(texts)}]) AS VARCHAR)"

    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""
        return f"regexp_full_match({text}, {literal(pattern)})"

    def content(self, relation: str, names: Sequence[str]) -> str:
        """Return the query of a text that tells what some columns of a relation hold."""
        return f"SELECT concat(count(*), ' ', sum(hash({', '.join(names)}))) FROM {relation}"

    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column."""
        return f"SELECT DISTINCT unnest(json_keys({column})) FROM {relation}"

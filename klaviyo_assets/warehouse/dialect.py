"""What databases differ in, as text and as data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from klaviyo_assets.schema.spec import Type

ALWAYS, NEVER = "true", "false"
"""Conditions that need no look at the values."""


@dataclass(frozen=True)
class Capabilities:
    """What a database can do.

    longest_name: bytes that a name may have. most_columns: that a table may have, dropped ones included.
    sure_to_fit: columns up to which every row fits in, whatever it holds. None: any.
    counts_at_once: whether the rows of a table are counted without looking at them.
    transactional_ddl: whether changes of tables are undone with the transaction. If not, they come before its first
        change of rows, and do no harm if nothing comes after them.
    transactions: whether changes of rows are undone with the transaction. If not, each is there at once, and none does
        harm if nothing comes after it.
    """

    longest_name: int | None = None
    most_columns: int | None = None
    sure_to_fit: int | None = None
    counts_at_once: bool = False
    transactional_ddl: bool = True
    transactions: bool = True


class Dialect(ABC):
    """The SQL text that is a database's own. A native type is the database's name of a type.

    type_names: the native type of each of ours.
    """

    capabilities: ClassVar[Capabilities]
    type_names: ClassVar[Mapping[Type, str]]

    @property
    def text(self) -> str:
        """The native type that holds the text of every value."""
        return self.type_names[Type.TEXT]

    def is_ours(self, native: str) -> bool:
        """Return whether this project makes columns of a native type."""
        return native in self.type_names.values()

    @abstractmethod
    def fold(self, name: str) -> str:
        """Return a name as the database compares it with others."""

    @abstractmethod
    def type_of(self, native: str) -> Type:
        """Return the type of ours that comes nearest to a native type: text, if none is near."""

    @abstractmethod
    def local_type(self, native: str) -> str | None:
        """Return DuckDB's name of a type whose values are those of a native type; None if it has no such type."""

    @abstractmethod
    def convert(self, expression: str, source: str, target: str) -> str:
        """Return an expression converted from a native type to another one that holds its values: see `survives`."""

    @abstractmethod
    def survives(self, expression: str, source: str, target: str) -> str:
        """Return the condition that a value keeps everything in another native type, NULL included.

        `ALWAYS` and `NEVER` need no look at the values.
        """

    @abstractmethod
    def says(self, text: str, target: str) -> str:
        """Return the condition that a text says exactly what it becomes in a native type, or is NULL."""

    @abstractmethod
    def holds_all(self, native: str, declared: Type) -> bool:
        """Return whether a native type holds, and compares with, all values of a declared type."""

    def compares(self, native: str, declared: Type) -> bool:
        """Return whether a native type compares with all values of a declared type, if it may not hold all of them."""
        return self.holds_all(native, declared)

    @abstractmethod
    def read_as(self, expression: str, native: str, declared: Type) -> str:
        """Return an expression in a declared type, whatever its own: NULL where a value is none of it."""

    @abstractmethod
    def text_of_key(self, names: Iterable[str]) -> str:
        """Return the expression of the values of a row's key as one text."""

    @abstractmethod
    def matches(self, text: str, pattern: str) -> str:
        """Return the condition that the whole of a text matches a regular expression."""

    @abstractmethod
    def json_keys(self, relation: str, column: str) -> str:
        """Return the query of the distinct names in the JSON objects of a column."""

    def content(self, relation: str, names: Sequence[str]) -> str | None:
        """Return the query of a text that tells what some columns of a relation hold, in whatever order its rows are.

        Another text if a value is another one, however little; None: to look would take as long as to write it again.
        """
        return None

    def md5(self, text: str) -> str:
        """Return the expression of the MD5 of a text, in lower case."""
        return f"md5({text})"

    def as_text(self, expression: str, native: str) -> str:
        """Return an expression of a native type as a text, which `from_text` reads."""
        return f"CAST({expression} AS VARCHAR)"

    def from_text(self, text: str, native: str) -> str:
        """Return the expression of a text that is a value of a native type."""
        return f"CAST({text} AS {native})"

    def looked_up(self, relation: str, key: str, value: str, moment: str) -> str:
        """Return the expression of the highest `value` in a relation whose `key` is a moment; NULL if there is none."""
        return f"(SELECT max({value}) FROM {relation} WHERE {key} = {moment})"

    def monday(self, day: str) -> str:
        """Return the expression of the Monday of a day's week."""
        return f"CAST(date_trunc('week', {day}) AS DATE)"

    def later(self, moment: str, microseconds: str) -> str:
        """Return the expression of a moment so many microseconds later."""
        return f"{moment} + {microseconds} * INTERVAL '1 microsecond'"

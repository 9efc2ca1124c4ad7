"""What a table of the warehouse looks like: its columns, their types and its key.

Nothing here knows where the rows come from or which database they go to.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

from klaviyo_assets.schema.policy import Policy


class Type(enum.StrEnum):
    """The column types that every supported warehouse has.

    TIMESTAMP is an instant, stored in UTC without a zone. JSON is JSON text.
    """

    BOOLEAN = "boolean"
    BIGINT = "bigint"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: As it is in the warehouse.
        type: One that every warehouse has.
        description: For the UI and for who queries it.

    Example:
        >>> Column("created", Type.TIMESTAMP, "When the list was created (UTC).").type.value
        'timestamp'
    """

    name: str
    type: Type
    description: str = ""


@dataclass(frozen=True)
class ForeignKey:
    """`column` holds values of `table`.`references`; documented, not enforced.

    nominal: the source itself has values that no row of the other table has.
    """

    column: str
    table: str
    references: str = "id"
    nominal: bool = False


@dataclass(frozen=True)
class Lookup:
    """`column` repeats `table`.`value` of the row whose `table`.`key` equals `on`.

    A load fills the column from what was known then; publishing `table` later corrects the rows that differ.
    """

    column: str
    on: str
    table: str
    key: str
    value: str


def overflow_of(dynamic: str) -> str:
    """Return the name of the overflow column, of the prefix of the columns that appear by themselves."""
    return f"{dynamic}_overflow"


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table of the warehouse.

    Args:
        name: Without a schema.
        columns: The declared columns, without the system columns.
        primary_key: Names of declared columns.
        foreign_keys: Columns that hold keys of other tables.
        description: For the UI.
        version: A declared TIMESTAMP column, when the row last changed: an older row never replaces a newer one.
        partitioned_by: The TIMESTAMP column whose UTC day is the row's partition, or None.
        dynamic: Prefix of the columns that appear by themselves (`property_`), or None.
        lookups: Columns that repeat another table's column.
        policy: Which columns are not written, and which as digests. It is applied where rows are spooled.
        takes_new_columns: Whether columns that appear are added once the table has rows.

    Raises:
        ValueError: A column is declared twice, or one of the primary key is not declared.

    Example:
        >>> spec = TableSpec(
        ...     name="list",
        ...     columns=(Column("id", Type.TEXT), Column("created", Type.TIMESTAMP, "When it was created (UTC).")),
        ...     primary_key=("id",),
        ... )
        >>> list(spec.types)
        ['id', 'created']
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    description: str = ""
    version: str | None = None
    partitioned_by: str | None = None
    dynamic: str | None = None
    lookups: tuple[Lookup, ...] = ()
    policy: Policy | None = None
    takes_new_columns: bool = True

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is declared twice")
        missing = set(self.primary_key) - set(names)
        if missing or not self.primary_key:
            raise ValueError(f"{self.name}: the primary key needs declared columns, not {missing or 'nothing'}")

    @property
    def overflow(self) -> str | None:
        """The JSON column of appearing columns that a table has no room for; no property has a name with `__`."""
        return overflow_of(self.dynamic) if self.dynamic else None

    @cached_property
    def types(self) -> dict[str, Type]:
        """Column name -> type of the declared columns."""
        return {column.name: column.type for column in self.columns}


STAGING = "_staging"
"""Ending of the schema in which snapshots lie until they are published, and of the prefix of their asset keys."""

SYNCED = Column("_fivetran_synced", Type.TIMESTAMP, "When the row was last written (UTC).")
DELETED = Column("_fivetran_deleted", Type.BOOLEAN, "True once the row no longer exists in the source.")
SYSTEM_COLUMNS = (SYNCED, DELETED)

"""An entry of the registry: a table of the warehouse, and how it is fed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from klaviyo_assets.schema.spec import Column, ForeignKey, TableSpec, Type

DAILY = timedelta(days=1)
WEEKLY = timedelta(days=7)


@dataclass(frozen=True)
class Family:
    """Tables that come from the same pages of the API.

    scopes: what an API key has to be allowed for all of their columns, first what they can't be read without.
    """

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table(TableSpec):
    """A table of the warehouse.

    family: the tables that are read together with this one.
    captures_deletes: whether rows that a complete read of their scope did not return are soft deleted.
    cadence: how long a complete read stays fresh; None means that every sync reads the table.
    optional: switched off until the user asks for the table.
    """

    family: Family
    captures_deletes: bool = True
    cadence: timedelta | None = None
    optional: bool = False


def text(name: str, description: str) -> Column:
    """Declare a TEXT column."""
    return Column(name, Type.TEXT, description)


def timestamp(name: str, description: str) -> Column:
    """Declare a TIMESTAMP column."""
    return Column(name, Type.TIMESTAMP, description)


def boolean(name: str, description: str) -> Column:
    """Declare a BOOLEAN column."""
    return Column(name, Type.BOOLEAN, description)


def bigint(name: str, description: str) -> Column:
    """Declare a BIGINT column."""
    return Column(name, Type.BIGINT, description)


def double(name: str, description: str) -> Column:
    """Declare a DOUBLE column."""
    return Column(name, Type.DOUBLE, description)


def date(name: str, description: str) -> Column:
    """Declare a DATE column."""
    return Column(name, Type.DATE, description)


def json(name: str, description: str) -> Column:
    """Declare a JSON column."""
    return Column(name, Type.JSON, description)


def references(*, nominal: Collection[str] = (), **tables: str) -> tuple[ForeignKey, ...]:
    """Declare foreign keys: column name -> the table whose `id` it holds.

    nominal: those columns whose values Klaviyo itself keeps although the other object is gone, or never listed.
    """
    return tuple(ForeignKey(column, table, nominal=column in nominal) for column, table in tables.items())

"""Every table that a destination may have."""

from __future__ import annotations

from klaviyo_assets.tables import (
    accounts,
    campaigns,
    catalogs,
    coupons,
    events,
    exclusions,
    extras,
    flows,
    forms,
    lists,
    metrics,
    profiles,
    reports,
    segments,
    tags,
    templates,
)
from klaviyo_assets.tables.table import Table

TABLES: tuple[Table, ...] = tuple(
    table
    for module in (
        events,
        profiles,
        metrics,
        campaigns,
        flows,
        lists,
        segments,
        exclusions,
        templates,
        tags,
        coupons,
        forms,
        accounts,
        catalogs,
        extras,
        reports,
    )
    for table in module.TABLES
)

_BY_NAME = {table.name: table for table in TABLES}


def table(name: str) -> Table:
    """Return the table of that name (lower case). Raises KeyError if there is none."""
    return _BY_NAME[name]


def family(name: str) -> tuple[Table, ...]:
    """Return the tables that are read from the same pages, in the order of the catalogue."""
    return tuple(table for table in TABLES if table.family == name)

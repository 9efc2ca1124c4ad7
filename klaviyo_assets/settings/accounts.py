"""Several accounts side by side."""

from __future__ import annotations

from collections.abc import Sequence

from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings.model import Settings
from klaviyo_assets.warehouse.local.sql import fold
from klaviyo_assets.warehouse.location import kind_of, place_of, shown


def require_distinct(accounts: Sequence[Settings]) -> None:
    """Raise ValueError if two accounts have one name, or would write to the same tables."""
    names: set[str] = set()
    schemas: dict[tuple[str, str], str] = {}
    for settings in accounts:
        if settings.name in names:
            raise ValueError(f"Two accounts have the name {settings.name}: give each a `name` of its own.")
        names.add(settings.name)
        database, cases = place_of(settings.warehouse), kind_of(settings.warehouse) in ("postgres", "clickhouse")
        for schema in (settings.schema_name, settings.schema_name + STAGING):
            other = schemas.setdefault((database, schema if cases else fold(schema)), settings.name)
            if other != settings.name:
                raise ValueError(
                    f"The accounts {other} and {settings.name} would both write to the schema {schema} of "
                    f"{shown(settings.warehouse)}: "
                    "give each a `schema` or a `warehouse` of its own."
                )
